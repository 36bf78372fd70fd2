// Whole weights, element by element; compiled for the weight's type. Specification: Entries.Cpu.cs, LowRank.Cpu.cs
#include "common.cuh"

extern "C" __global__ void Widen(const scalar* x, float* y, float scale, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) y[i] = widen(x[i]) * scale;
}

// *largest = bits of max |x|, which order like the magnitudes, NaN above infinity; *largest must be 0 before.
extern "C" __global__ void LargestMagnitude(const scalar* x, long long n, unsigned* largest) {
    __shared__ unsigned most;
    if (threadIdx.x == 0) most = 0;
    __syncthreads();
    unsigned mine = 0;
    for (long long i = first_index(); i < n; i += index_stride()) {
        unsigned u = __float_as_uint(widen(x[i])) & 0x7fffffffu;
        if (u > mine) mine = u;
    }
    atomicMax(&most, mine);
    __syncthreads();
    if (threadIdx.x == 0) atomicMax(largest, most);
}

// kind as in ISelection.cs: 1 mean gradient, 2 movement, 3 momentum; mean = 1 / steps.
extern "C" __global__ void AddStatistic(int kind, float* s, const float* g, const scalar* w, float mean, long long n) {
    for (long long i = first_index(); i < n; i += index_stride())
        s[i] = kind == 1 ? s[i] + (g[i] - s[i]) * mean : kind == 2 ? s[i] - g[i] * widen(w[i]) : 0.9f * s[i] + (1 - 0.9f) * g[i];
}
