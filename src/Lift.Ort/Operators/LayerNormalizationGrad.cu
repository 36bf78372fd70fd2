// Gradients of layer and RMS normalization over rows of n elements. form: 0 full (third = mean), 1 simplified, 2 invertible (x is y, third = bias).
// Statistics are float32. dx may be dy, so the sums over rows come first. Specification: LayerNormalizationGrad.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ float normed(int form, float x, float gamma, const void* third, long long row, long long i, float inv) {
    return form == 2 ? (x - widen(((const scalar*)third)[i])) / gamma : (x - (form == 0 ? ((const float*)third)[row] : 0.f)) * inv;
}

// One block per row.
extern "C" __global__ void RowGrad(const scalar* dy, const scalar* x, const scalar* gamma, const void* third, const float* inv_std, scalar* dx, long long n, int form) {
    long long row = blockIdx.x;
    float inv = inv_std[row], sum = 0, sum_x = 0;
    dy += row * n, x += row * n, dx += row * n;
    bool four = n % 4 == 0;
    for (long long i = four ? 4 * threadIdx.x : threadIdx.x; i < n; i += four ? 4 * BLOCK : BLOCK) {
        if (four) {
            Floats d = load4(dy + i), v = load4(x + i), w = load4(gamma + i);
            for (int k = 0; k < 4; k++) {
                float g = d.at[k] * w.at[k];
                sum += g, sum_x += g * normed(form, v.at[k], w.at[k], third, row, i + k, inv);
            }
        } else {
            float w = widen(gamma[i]), g = widen(dy[i]) * w;
            sum += g, sum_x += g * normed(form, widen(x[i]), w, third, row, i, inv);
        }
    }
    float mean = form == 1 ? 0 : block_sum(sum) / n, mean_x = block_sum(sum_x) / n;
    for (long long i = four ? 4 * threadIdx.x : threadIdx.x; i < n; i += four ? 4 * BLOCK : BLOCK) {
        if (four) {
            Floats d = load4(dy + i), v = load4(x + i), w = load4(gamma + i);
            for (int k = 0; k < 4; k++) v.at[k] = inv * (d.at[k] * w.at[k] - mean - normed(form, v.at[k], w.at[k], third, row, i + k, inv) * mean_x);
            store4(dx + i, v);
        } else {
            float w = widen(gamma[i]);
            narrow(inv * (widen(dy[i]) * w - mean - normed(form, widen(x[i]), w, third, row, i, inv) * mean_x), dx + i);
        }
    }
}

// part[p][0][i] = Σ dy·x̂ and part[p][1][i] = Σ dy over the rows of part p; a block takes 256 columns of one part.
extern "C" __global__ void ColumnSums(const scalar* dy, const scalar* x, const scalar* gamma, const void* third, const float* inv_std, float* part, long long rows, long long n, int parts, int form) {
    long long columns = (n + BLOCK - 1) / BLOCK, p = blockIdx.x / columns, i = blockIdx.x % columns * BLOCK + threadIdx.x;
    if (i >= n) return;
    float scale = 0, bias = 0, w = widen(gamma[i]);
    for (long long row = rows * p / parts; row < rows * (p + 1) / parts; row++) {
        float d = widen(dy[row * n + i]);
        scale += d * normed(form, widen(x[row * n + i]), w, third, row, i, inv_std[row]);
        bias += d;
    }
    part[(2 * p) * n + i] = scale;
    part[(2 * p + 1) * n + i] = bias;
}

extern "C" __global__ void CollectSums(const float* part, long long n, int parts, scalar* scale, scalar* bias) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        float s = 0, b = 0;
        for (int p = 0; p < parts; p++) s += part[2 * p * n + i], b += part[(2 * p + 1) * n + i];
        if (scale) narrow(s, scale + i);
        if (bias) narrow(b, bias + i);
    }
}
