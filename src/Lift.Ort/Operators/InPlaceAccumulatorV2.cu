// sum += value, or sum = value; copy, where it is not null, gets the new sum too. Specification: InPlaceAccumulatorV2.Cpu.cs
#include "common.cuh"

extern "C" __global__ void Accumulate(scalar* sum, const scalar* value, scalar* copy, const unsigned char* overwrite, unsigned char* flag, long long n) {
    bool replace = overwrite && *overwrite;
    for (long long i = first_index(); i < n; i += index_stride()) {
        float s = replace ? widen(value[i]) : widen(sum[i]) + widen(value[i]);
        narrow(s, sum + i);
        if (copy && copy != sum) narrow(s, copy + i);
    }
    if (first_index() == 0) *flag = 1;
}
