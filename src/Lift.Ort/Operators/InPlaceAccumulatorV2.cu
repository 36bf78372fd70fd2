// Sums of gradients in the memory of the sum. Specification: InPlaceAccumulatorV2.Cpu.cs, InPlaceAccumulator.Cpu.cs
#include "common.cuh"

// sum += value, or sum = value; copy, where it is not null, gets the new sum too.
extern "C" __global__ void Accumulate(scalar* sum, const scalar* value, scalar* copy, const unsigned char* overwrite, unsigned char* flag, long long n) {
    bool replace = overwrite && *overwrite;
    for (long long i = first_index(); i < n; i += index_stride()) {
        float s = replace ? widen(value[i]) : widen(sum[i]) + widen(value[i]);
        narrow(s, sum + i);
        if (copy && copy != sum) narrow(s, copy + i);
    }
    if (first_index() == 0) *flag = 1;
}

// result = sum + value, or sum where *signal is 0; result may be sum.
extern "C" __global__ void AccumulateIf(const scalar* sum, const scalar* value, scalar* result, const unsigned char* signal, long long n) {
    bool add = !signal || *signal;
    if (!add && result == sum) return;
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats s = load4(sum + 4 * i), v = load4(value + 4 * i);
        for (int k = 0; k < 4 && add; k++) s.at[k] += v.at[k];
        store4(result + 4 * i, s);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(widen(sum[i]) + (add ? widen(value[i]) : 0), result + i);
}
