// Changes of the element type. Specification: Widen.Cpu.cs
#include "common.cuh"

extern "C" __global__ void WidenAll(const scalar* x, float* y, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) store4(y + 4 * i, load4(x + 4 * i));
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) y[i] = widen(x[i]);
}

extern "C" __global__ void Narrow(const float* x, scalar* y, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) store4(y + 4 * i, load4(x + 4 * i));
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(x[i], y + i);
}
