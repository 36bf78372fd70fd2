// dx = dy where mask, scaled; dx may be dy. Specification: DropoutGrad.Cpu.cs
#include "common.cuh"

extern "C" __global__ void DropoutGrad(const scalar* dy, const unsigned char* mask, scalar* dx, float scale, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) narrow(mask[i] ? widen(dy[i]) * scale : 0.f, dx + i);
}
