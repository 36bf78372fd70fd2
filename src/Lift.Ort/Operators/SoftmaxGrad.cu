// Gradients of softmax and log-softmax along slices of `length` elements that lie `inner` apart; dx may be dy. Specification: SoftmaxGrad.Cpu.cs, LogSoftmaxGrad.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ float part(float dy, float y, int log) { return log ? dy : dy * y; }
__device__ __forceinline__ float result(float dy, float y, float sum, int log) { return log ? dy - expf(y) * sum : y * (dy - sum); }

// One block per slice; inner = 1.
extern "C" __global__ void SoftmaxGrad(const scalar* dy, const scalar* y, scalar* dx, long long length, int log) {
    long long first = (long long)blockIdx.x * length;
    dy += first, y += first, dx += first;
    float sum = 0;
    if (length % 4 == 0) {
        for (long long i = 4 * threadIdx.x; i < length; i += 4 * BLOCK) {
            Floats g = load4(dy + i), p = load4(y + i);
            for (int k = 0; k < 4; k++) sum += part(g.at[k], p.at[k], log);
        }
        sum = block_sum(sum);
        for (long long i = 4 * threadIdx.x; i < length; i += 4 * BLOCK) {
            Floats g = load4(dy + i), p = load4(y + i), r;
            for (int k = 0; k < 4; k++) r.at[k] = result(g.at[k], p.at[k], sum, log);
            store4(dx + i, r);
        }
        return;
    }
    for (long long i = threadIdx.x; i < length; i += BLOCK) sum += part(widen(dy[i]), widen(y[i]), log);
    sum = block_sum(sum);
    for (long long i = threadIdx.x; i < length; i += BLOCK) narrow(result(widen(dy[i]), widen(y[i]), sum, log), dx + i);
}

// One thread per slice; neighbouring threads read neighbouring elements.
extern "C" __global__ void SoftmaxGradApart(const scalar* dy, const scalar* y, scalar* dx, long long slices, long long length, long long inner, int log) {
    for (long long s = first_index(); s < slices; s += index_stride()) {
        long long first = s / inner * length * inner + s % inner;
        float sum = 0;
        for (long long i = 0; i < length; i++) sum += part(widen(dy[first + i * inner]), widen(y[first + i * inner]), log);
        for (long long i = 0; i < length; i++) narrow(result(widen(dy[first + i * inner]), widen(y[first + i * inner]), sum, log), dx + first + i * inner);
    }
}
