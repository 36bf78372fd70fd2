// Whether numbers are finite, and their norm. Specification: Finiteness.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ unsigned magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }

extern "C" __global__ void IsFinite(const scalar* x, unsigned char* y, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) y[i] = magnitude(widen(x[i])) < 0x7f800000u;
}

// *found = 1 where an element is what is looked for; it must be 0 before.
extern "C" __global__ void FindNotFinite(const scalar* x, int infinities, int nans, unsigned* found, long long n) {
    bool any = false;
    for (long long i = first_index(); i < n; i += index_stride()) {
        unsigned bits = magnitude(widen(x[i]));
        any |= (infinities && bits == 0x7f800000u) || (nans && bits > 0x7f800000u);
    }
    if (any) atomicMax(found, 1u);
}

extern "C" __global__ void SayNotFound(const unsigned* found, unsigned char* y) {
    if (first_index() == 0) *y = *found == 0;
}

// part[block] = Σ x² of the block's elements
extern "C" __global__ void SquareSums(const scalar* x, double* part, long long n) {
    double sum = 0;
    for (long long i = first_index(); i < n; i += index_stride()) sum += (double)widen(x[i]) * widen(x[i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// One block: √Σ part
extern "C" __global__ void RootOfSums(const double* part, int count, scalar* y) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) sum += part[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow((float)sqrt(sum), y);
}
