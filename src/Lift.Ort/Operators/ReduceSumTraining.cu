// y = Σ of x over some axes, in a fixed order. kept: dims and strides of the axes that stay; summed: those that go. Specification: ReduceSumTraining.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ long long offset(long long i, const Dims& dims, const Dims& stride, int rank) {
    long long at = 0;
    for (int d = rank - 1; d >= 0; d--) at += i % dims.at[d] * stride.at[d], i /= dims.at[d];
    return at;
}

// One thread per result: where neighbouring results lie side by side in x.
extern "C" __global__ void SumByThread(const scalar* x, scalar* y, Dims kept, Dims kept_stride, int kept_rank, Dims summed, Dims summed_stride, int summed_rank, long long terms, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long base = offset(i, kept, kept_stride, kept_rank);
        float sum = 0;
        for (long long k = 0; k < terms; k++) sum += widen(x[base + offset(k, summed, summed_stride, summed_rank)]);
        narrow(sum, y + i);
    }
}

// One block per result: where the terms lie side by side.
extern "C" __global__ void SumByBlock(const scalar* x, scalar* y, Dims kept, Dims kept_stride, int kept_rank, Dims summed, Dims summed_stride, int summed_rank, long long terms, long long n) {
    long long base = offset(blockIdx.x, kept, kept_stride, kept_rank);
    float sum = 0;
    for (long long k = threadIdx.x; k < terms; k += BLOCK) sum += widen(x[base + offset(k, summed, summed_stride, summed_rank)]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow(sum, y + blockIdx.x);
}
