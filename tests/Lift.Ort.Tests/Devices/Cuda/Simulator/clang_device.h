// What clang lacks when it compiles a kernel to PTX without NVIDIA's headers (-nocudainc -nocudalib). NVRTC needs none of it.
// Functions of libdevice are only declared: the PTX of this check is never linked.
#pragma once
#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))

typedef unsigned long size_t;
#include <__clang_cuda_builtin_vars.h>

#define expf lift_expf
#define logf lift_logf
#define tanhf lift_tanhf
#define erff lift_erff
#define cosf lift_cosf
#define rintf lift_rintf
extern "C" {
__device__ float lift_expf(float);
__device__ float lift_logf(float);
__device__ float lift_tanhf(float);
__device__ float lift_erff(float);
__device__ float lift_cosf(float);
__device__ float lift_rintf(float);
}

__device__ inline float sqrtf(float x) { return __nvvm_sqrt_rn_f(x); }
__device__ inline double sqrt(double x) { return __nvvm_sqrt_rn_d(x); }
__device__ inline float fmaf(float a, float b, float c) { return __nvvm_fma_rn_f(a, b, c); }
__device__ inline float fminf(float a, float b) { return __nvvm_fmin_f(a, b); }
__device__ inline float fmaxf(float a, float b) { return __nvvm_fmax_f(a, b); }
__device__ inline unsigned __float_as_uint(float f) { return (unsigned)__nvvm_bitcast_f2i(f); }
__device__ inline float __uint_as_float(unsigned u) { return __nvvm_bitcast_i2f((int)u); }
__device__ inline unsigned atomicAdd(unsigned* p, unsigned x) { return (unsigned)__nvvm_atom_add_gen_i((int*)p, (int)x); }
__device__ inline unsigned atomicMax(unsigned* p, unsigned x) { return __nvvm_atom_max_gen_ui(p, x); }
__device__ inline int atomicExch(int* p, int x) { return __nvvm_atom_xchg_gen_i(p, x); }
__device__ inline int atomicMax(int* p, int x) { return __nvvm_atom_max_gen_i(p, x); }
__device__ inline size_t __cvta_generic_to_shared(const void* p) { return (size_t)(const __attribute__((address_space(3))) void*)p; }
__device__ inline void block_barrier() { __nvvm_bar_sync(0); }
#define __syncthreads() block_barrier()
__device__ inline int shuffle_xor(unsigned mask, int x, int lane) { return __nvvm_shfl_sync_bfly_i32(mask, x, lane, 31); }
__device__ inline float __shfl_xor_sync(unsigned mask, float x, int lane) { return __nvvm_shfl_sync_bfly_f32(mask, x, lane, 31); }
__device__ inline double __shfl_xor_sync(unsigned mask, double x, int lane) {
    union { double d; int half[2]; } u;
    u.d = x;
    u.half[0] = shuffle_xor(mask, u.half[0], lane);
    u.half[1] = shuffle_xor(mask, u.half[1], lane);
    return u.d;
}
