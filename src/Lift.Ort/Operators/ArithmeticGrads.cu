// Gradients of division and sine, and numbers on a grid. Specification: ArithmeticGrads.Cpu.cs
#include "common.cuh"

// Some axes of dy, and how far dy, a and b move along them (0: repeated).
struct Axes { Dims dims, dy, a, b; long long count; int rank; };
struct Place { long long dy, a, b; };

__device__ __forceinline__ Place place(const Axes& axes, long long i) {
    Place p = {0, 0, 0};
    for (int d = axes.rank - 1; d >= 0; d--) {
        long long at = i % axes.dims.at[d];
        i /= axes.dims.at[d];
        p.dy += at * axes.dy.at[d], p.a += at * axes.a.at[d], p.b += at * axes.b.at[d];
    }
    return p;
}

// da = dy / b, or db = −dy · a / b²
__device__ __forceinline__ float quotient(const scalar* dy, const scalar* a, const scalar* b, Place p, Place q, int divisor) {
    float c = widen(b[p.b + q.b]), share = widen(dy[p.dy + q.dy]) / c;
    return divisor ? -share * widen(a[p.a + q.a]) / c : share;
}

// One thread per element of the operand, which sums over the axes along which it was repeated.
extern "C" __global__ void DivGradByThread(const scalar* dy, const scalar* a, const scalar* b, scalar* result, Axes kept, Axes summed, int divisor) {
    for (long long i = first_index(); i < kept.count; i += index_stride()) {
        Place p = place(kept, i);
        float sum = 0;
        for (long long k = 0; k < summed.count; k++) sum += quotient(dy, a, b, p, place(summed, k), divisor);
        narrow(sum, result + i);
    }
}

// One block per element.
extern "C" __global__ void DivGradByBlock(const scalar* dy, const scalar* a, const scalar* b, scalar* result, Axes kept, Axes summed, int divisor) {
    Place p = place(kept, blockIdx.x);
    float sum = 0;
    for (long long k = threadIdx.x; k < summed.count; k += BLOCK) sum += quotient(dy, a, b, p, place(summed, k), divisor);
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow(sum, result + blockIdx.x);
}

extern "C" __global__ void SinGrad(const scalar* dy, const scalar* x, scalar* dx, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats d = load4(dy + 4 * i), v = load4(x + 4 * i);
        for (int k = 0; k < 4; k++) d.at[k] *= cosf(v.at[k]);
        store4(dx + 4 * i, d);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(widen(dy[i]) * cosf(widen(x[i])), dx + i);
}

extern "C" __global__ void FakeQuant(const scalar* x, const scalar* scales, const scalar* zeros, scalar* y, unsigned char* mask, float least, float most, long long n) {
    float scale = widen(*scales), zero = widen(*zeros);
    for (long long i = first_index(); i < n; i += index_stride()) {
        float q = zero + rintf(widen(x[i]) / scale);
        mask[i] = q >= least && q <= most;
        narrow(((q < least ? least : q > most ? most : q) - zero) * scale, y + i);
    }
}

extern "C" __global__ void FakeQuantGrad(const scalar* dy, const unsigned char* mask, scalar* dx, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) narrow(mask[i] ? widen(dy[i]) : 0.f, dx + i);
}
