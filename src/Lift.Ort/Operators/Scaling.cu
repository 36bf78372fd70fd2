// Sums of scaled tensors; y may be the first x. Specification: Scaling.Cpu.cs
#include "common.cuh"

// A number of ONNX's element type `type`.
__device__ __forceinline__ float number(const void* x, int type) {
    return type == 1 ? *(const float*)x : type == 6 ? (float)*(const int*)x : type == 7 ? (float)*(const long long*)x : type == 10 ? widen(*(const float16*)x) : widen(*(const bfloat16*)x);
}

// y = Σ scale[k] · x[k] over the x that are there
extern "C" __global__ void ScaledSum(const scalar* a, const scalar* b, const scalar* c, float of_a, float of_b, float of_c, scalar* y, long long n) {
    bool four = (((size_t)a | (size_t)b | (size_t)c | (size_t)y) & (4 * sizeof(scalar) - 1)) == 0;
    long long fours = four ? n / 4 : 0;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats v = load4(a + 4 * i), w = {}, u = {};
        if (b) w = load4(b + 4 * i);
        if (c) u = load4(c + 4 * i);
        for (int k = 0; k < 4; k++) v.at[k] = of_a * v.at[k] + of_b * w.at[k] + of_c * u.at[k];
        store4(y + 4 * i, v);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(of_a * widen(a[i]) + (b ? of_b * widen(b[i]) : 0) + (c ? of_c * widen(c[i]) : 0), y + i);
}

// y = x · *factor, or x / *factor
extern "C" __global__ void ScaleBy(const scalar* x, const void* factor, int type, int down, scalar* y, long long n) {
    float scale = number(factor, type);
    if (down) scale = 1 / scale;
    bool four = (((size_t)x | (size_t)y) & (4 * sizeof(scalar) - 1)) == 0;
    long long fours = four ? n / 4 : 0;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats v = load4(x + 4 * i);
        for (int k = 0; k < 4; k++) v.at[k] *= scale;
        store4(y + 4 * i, v);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(widen(x[i]) * scale, y + i);
}
