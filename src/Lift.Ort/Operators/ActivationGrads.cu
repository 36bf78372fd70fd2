// dx = f(dy, x), element by element, and dx = f(dy, x + bias); dx may be dy. Specification: ActivationGrads.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ float sigmoid(float x) { return 1 / (1 + expf(-x)); }

struct Sigmoid { static __device__ float of(float dy, float y, float) { return dy * y * (1 - y); } };
struct Tanh { static __device__ float of(float dy, float y, float) { return dy * (1 - y * y); } };
struct Relu { static __device__ float of(float dy, float x, float) { return x > 0 ? dy : 0; } };
struct LeakyRelu { static __device__ float of(float dy, float y, float alpha) { return y > 0 ? dy : alpha * dy; } };
struct QuickGelu {
    static __device__ float of(float dy, float x, float alpha) {
        float s = sigmoid(alpha * x);
        return dy * s * (1 + alpha * x * (1 - s));
    }
};
struct FastGelu {
    static __device__ float of(float dy, float x, float) {
        float root = 1.5957691216057308f, cubic = 0.044715f * x * x, s = sigmoid(root * x * (1 + cubic));
        return dy * s * (1 + x * root * (1 + 3 * cubic) * (1 - s));
    }
};
struct Gelu { static __device__ float of(float dy, float x, float) { return dy * (0.5f * (1 + erff(x * 0.70710678118654752f)) + x * expf(-0.5f * x * x) * 0.3989422804014327f); } };

template <class F> __device__ __forceinline__ void map(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats d = load4(dy + 4 * i), v = load4(x + 4 * i);
        for (int k = 0; k < 4; k++) v.at[k] = F::of(d.at[k], v.at[k], alpha);
        store4(dx + 4 * i, v);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(F::of(widen(dy[i]), widen(x[i]), alpha), dx + i);
}

template <class F> __device__ __forceinline__ void map_bias(const scalar* dy, const scalar* x, const scalar* bias, scalar* dx, long long columns, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) narrow(F::of(widen(dy[i]), widen(x[i]) + widen(bias[i % columns]), 0), dx + i);
}

extern "C" __global__ void SigmoidGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<Sigmoid>(dy, x, dx, alpha, n); }
extern "C" __global__ void TanhGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<Tanh>(dy, x, dx, alpha, n); }
extern "C" __global__ void ReluGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<Relu>(dy, x, dx, alpha, n); }
extern "C" __global__ void LeakyReluGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<LeakyRelu>(dy, x, dx, alpha, n); }
extern "C" __global__ void QuickGeluGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<QuickGelu>(dy, x, dx, alpha, n); }
extern "C" __global__ void FastGeluGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<FastGelu>(dy, x, dx, alpha, n); }
extern "C" __global__ void GeluGrad(const scalar* dy, const scalar* x, scalar* dx, float alpha, long long n) { map<Gelu>(dy, x, dx, alpha, n); }
extern "C" __global__ void BiasGeluGrad(const scalar* dy, const scalar* x, const scalar* bias, scalar* dx, long long columns, long long n) { map_bias<Gelu>(dy, x, bias, dx, columns, n); }
extern "C" __global__ void BiasFastGeluGrad(const scalar* dy, const scalar* x, const scalar* bias, scalar* dx, long long columns, long long n) { map_bias<FastGelu>(dy, x, bias, dx, columns, n); }
