// Shared by all kernels; handed to NVRTC by name. NVRTC needs nothing else; clang and g++ get what they lack from tests/Lift.Ort.Tests/Devices/Cuda.
// A file that is compiled for an element type (SCALAR_…) sees it as `scalar`; arithmetic is float32.
#pragma once
#if defined(KERNEL_ON_CPU)
#include "on_cpu.h"
#elif defined(__clang__) && !defined(__CUDACC_RTC__)
#include "clang_device.h"
#endif

#define BLOCK 256 /* threads of a block wherever sums over a block are made: Grid.Block */

struct float16 { unsigned short bits; };
struct bfloat16 { unsigned short bits; };
struct Dims { long long at[8]; };

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(bfloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }
__device__ __forceinline__ float widen(float16 x) {
#if defined(KERNEL_ON_CPU)
    return half_to_float(x.bits);
#else
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
#endif
}

// Rounds to nearest even; a NaN stays one.
__device__ __forceinline__ void narrow(float x, float* y) { *y = x; }
__device__ __forceinline__ void narrow(float x, bfloat16* y) {
    unsigned bits = __float_as_uint(x);
    y->bits = (bits & 0x7fffffffu) > 0x7f800000u ? (unsigned short)(bits >> 16 | 0x40u) : (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}
__device__ __forceinline__ void narrow(float x, float16* y) {
#if defined(KERNEL_ON_CPU)
    y->bits = float_to_half(x);
#else
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y->bits) : "f"(x));
#endif
}

#if defined(SCALAR_FLOAT32)
typedef float scalar;
#elif defined(SCALAR_FLOAT16)
typedef float16 scalar;
#elif defined(SCALAR_BFLOAT16)
typedef bfloat16 scalar;
#elif defined(SCALAR_INT32)
typedef int scalar;
#elif defined(SCALAR_INT64)
typedef long long scalar;
#elif defined(SCALAR_BOOL)
typedef unsigned char scalar;
#endif

// Four neighbours in one access of 8 or 16 bytes; the address must be a multiple of it.
template <class T> struct alignas(4 * sizeof(T)) Four { T at[4]; };
struct Floats { float at[4]; };

template <class T> __device__ __forceinline__ Floats load4(const T* x) {
    Four<T> v = *(const Four<T>*)x;
    return {widen(v.at[0]), widen(v.at[1]), widen(v.at[2]), widen(v.at[3])};
}

template <class T> __device__ __forceinline__ void store4(T* y, Floats v) {
    Four<T> r;
    for (int i = 0; i < 4; i++) narrow(v.at[i], &r.at[i]);
    *(Four<T>*)y = r;
}

__device__ __forceinline__ long long first_index() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ __forceinline__ long long index_stride() { return (long long)gridDim.x * blockDim.x; }

__device__ __forceinline__ float not_a_number() { return __uint_as_float(0x7fc00000u); }
__device__ __forceinline__ float negative_infinity() { return __uint_as_float(0xff800000u); }
__device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }

// Sum over the block of one value per thread, the same in all threads and in every run: the order of additions is fixed.
template <class T> __device__ __forceinline__ T block_sum(T value) {
    __shared__ T sums[BLOCK / 32 + 1];
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    __syncthreads();
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = value;
    __syncthreads();
    T total = 0;
    for (unsigned i = 0; i < blockDim.x / 32; i++) total += sums[i];
    return total;
}

// The largest of one value per thread.
__device__ __forceinline__ float block_max(float value) {
    __shared__ float largest[BLOCK / 32 + 1];
    for (int distance = 16; distance > 0; distance /= 2) value = larger(value, __shfl_xor_sync(0xffffffffu, value, distance));
    __syncthreads();
    if (threadIdx.x % 32 == 0) largest[threadIdx.x / 32] = value;
    __syncthreads();
    float result = largest[0];
    for (unsigned i = 1; i < blockDim.x / 32; i++) result = larger(result, largest[i]);
    return result;
}
