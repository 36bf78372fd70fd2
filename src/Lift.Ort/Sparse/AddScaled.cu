// Sums over long vectors, and what follows from them. Specification: AddScaled.Cpu.cs, StepVerdict.Cpu.cs, RevertUnlessGood.Cpu.cs
#include "common.cuh"

extern "C" __global__ void AddScaled(float* sum, const float* value, float scale, int overwrite, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) sum[i] = overwrite ? value[i] * scale : sum[i] + value[i] * scale;
}

// part[b] = sum of squares of the b-th piece of 2^16 entries, in float64: the pieces are the same on every GPU.
extern "C" __global__ void SquaredNormParts(const float* value, long long n, double* part) {
    long long from = (long long)blockIdx.x << 16, to = from + 65536 < n ? from + 65536 : n;
    double sum = 0;
    for (long long i = from + threadIdx.x; i < to; i += BLOCK) sum += (double)value[i] * value[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

// One block: *result = sum of the parts.
extern "C" __global__ void SumParts(const double* part, int count, double* result) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) sum += part[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *result = sum;
}

// One block: verdict = [squares, which are there, good, losses …]; good: all are finite, and where sticky it was good before.
extern "C" __global__ void JudgeStep(const float* losses, int count, double* verdict, int sticky) {
    float bad = !(verdict[0] - verdict[0] == 0);
    for (int i = threadIdx.x; i < count; i += BLOCK) {
        verdict[2 + i] = losses[i];
        bad += !(losses[i] - losses[i] == 0);
    }
    bad = block_sum(bad);
    if (threadIdx.x == 0) verdict[1] = bad == 0 && (!sticky || verdict[1] != 0);
}

// now = before, unless verdict[1] says that the step is good.
extern "C" __global__ void RevertUnlessGood(const double* verdict, unsigned* now, const unsigned* before, long long n) {
    if (verdict[1] != 0) return;
    for (long long i = first_index(); i < n; i += index_stride()) now[i] = before[i];
}
