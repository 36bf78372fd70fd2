// Products on tensor cores and asynchronous copies, one small function each: PTX on a GPU; on the simulator (KERNEL_ON_CPU) the same exchange between the 32 threads of a warp,
// register by register as the PTX ISA lays fragments out (9.7.14.5.8 "Matrix Fragments for mma.m16n8k16", "ldmatrix", "cp.async"). For 16-bit scalars.
// All threads of a warp call them together. Of a fragment, thread `lane` holds, with g = lane / 4 and t = lane % 4:
//   A [16 x 16]: a[0] = (g, 2t), a[1] = (g + 8, 2t), a[2] = (g, 2t + 8), a[3] = (g + 8, 2t + 8), each with its right neighbour in the upper half
//   B [16 x  8]: b[0] = (2t, g), b[1] = (2t + 8, g), each with the neighbour below in the upper half
//   C [16 x  8]: c[0], c[1] = (g, 2t), (g, 2t + 1); c[2], c[3] = (g + 8, 2t), (g + 8, 2t + 1)
#pragma once
#include "common.cuh"

#if defined(KERNEL_ON_CPU)
#define DYNAMIC_SHARED(name) unsigned char* name = simulator_shared
#else
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

// Two numbers rounded to scalars, the first in the lower half.
__device__ __forceinline__ unsigned pair(float low, float high) {
#if defined(KERNEL_ON_CPU)
    scalar l, h;
    narrow(low, &l), narrow(high, &h);
    return (unsigned)l.bits | (unsigned)h.bits << 16;
#else
    unsigned both; // the first operand of cvt goes to the upper half
#if defined(SCALAR_BFLOAT16)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(both) : "f"(high), "f"(low));
#endif
    return both;
#endif
}

// c += a · b, with sums in float32
__device__ __forceinline__ void multiply_add(float* c, const unsigned* a, const unsigned* b) {
#if defined(KERNEL_ON_CPU)
    float *left = simulator_fragments(), *right = left + 256; // a [16 x 16], bᵀ [8 x 16]
    unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    for (unsigned i = 0; i < 8; i++) {
        scalar x = {(unsigned short)(a[i / 2] >> i % 2 * 16)};
        left[(g + i / 2 % 2 * 8) * 16 + 2 * t + i % 2 + i / 4 * 8] = widen(x);
    }
    for (unsigned i = 0; i < 4; i++) {
        scalar x = {(unsigned short)(b[i / 2] >> i % 2 * 16)};
        right[g * 16 + 2 * t + i % 2 + i / 2 * 8] = widen(x);
    }
    simulator_sync();
    for (unsigned i = 0; i < 4; i++) {
        const float *x = left + (g + i / 2 * 8) * 16, *y = right + (2 * t + i % 2) * 16;
        float sum = 0;
        for (unsigned j = 0; j < 16; j++) sum += x[j] * y[j];
        c[i] += sum;
    }
#elif defined(SCALAR_BFLOAT16)
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four matrices of 8 x 8 from shared memory: lane 8i + r gives the address of row r of matrix i (a multiple of 16 bytes); r[i] is (g, 2t) of matrix i with its right neighbour.
__device__ __forceinline__ void load_matrices(unsigned* r, const scalar* row) {
#if defined(KERNEL_ON_CPU)
    const scalar* const* rows = (const scalar* const*)simulator_addresses(row);
    for (unsigned i = 0, lane = threadIdx.x % 32; i < 4; i++) {
        const scalar* x = rows[8 * i + lane / 4] + lane % 4 * 2;
        r[i] = (unsigned)x[0].bits | (unsigned)x[1].bits << 16;
    }
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
#endif
}

// The same of the transposed matrices: r[i] is (2t, g) of matrix i with the neighbour below.
__device__ __forceinline__ void load_transposed(unsigned* r, const scalar* row) {
#if defined(KERNEL_ON_CPU)
    const scalar* const* rows = (const scalar* const*)simulator_addresses(row);
    for (unsigned i = 0, lane = threadIdx.x % 32; i < 4; i++)
        r[i] = (unsigned)rows[8 * i + lane % 4 * 2][lane / 4].bits | (unsigned)rows[8 * i + lane % 4 * 2 + 1][lane / 4].bits << 16;
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"((unsigned)__cvta_generic_to_shared(row)) : "memory");
#endif
}

// Copies 16 bytes of global memory to shared memory some time before wait_copies returns, or writes zeros where nothing is there; both addresses are multiples of 16.
__device__ __forceinline__ void copy_async(void* to, const void* from, bool there) {
#if defined(KERNEL_ON_CPU)
    simulator_copy(to, from, there ? 16 : 0);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"((unsigned)__cvta_generic_to_shared(to)), "l"(from), "r"(there ? 16 : 0) : "memory");
#endif
}

// What was copied since the last call is one group.
__device__ __forceinline__ void commit_copies() {
#if defined(KERNEL_ON_CPU)
    simulator_commit();
#else
    asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

// Waits for this thread's own copies, all groups but the last N; others see them after a barrier.
template <int N> __device__ __forceinline__ void wait_copies() {
#if defined(KERNEL_ON_CPU)
    simulator_wait(N);
#else
    asm volatile("cp.async.wait_group %0;" : : "n"(N) : "memory");
#endif
}

// 2^x to about 2 ulp; exact at −∞ and for whole numbers. Results below 2^-126 are 0.
__device__ __forceinline__ float exp2_fast(float x) {
#if defined(KERNEL_ON_CPU)
    return exp2f(x);
#else
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#endif
}
