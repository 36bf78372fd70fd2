// Batch normalization over [images, channels, space], and its gradient: sums over parts of a channel, one line per channel that adds the parts up in order, then every
// element by itself. Specification: BatchNormalizationGrad.Cpu.cs
#include "common.cuh"

// The elements [from, to) of part p of a channel; boundaries are multiples of 4, so that four neighbours stay together where space is one too.
struct Part { long long from, to; };
__device__ __forceinline__ Part part_of(long long elements, int p, int parts) {
    long long fours = (elements + 3) / 4, to = 4 * (fours * (p + 1) / parts);
    return {4 * (fours * p / parts), to < elements ? to : elements};
}

// Calls f(position in x) for each element of the part, and f4 for four neighbours where they lie side by side.
template <class F> __device__ __forceinline__ void for_each(Part part, long long channel, long long channels, long long space, F f) {
    for (long long e = part.from + threadIdx.x; e < part.to; e += BLOCK) f((e / space * channels + channel) * space + e % space);
}
template <class F> __device__ __forceinline__ void for_each_four(Part part, long long channel, long long channels, long long space, F f) {
    for (long long e = part.from + 4 * threadIdx.x; e < part.to; e += 4 * BLOCK) f((e / space * channels + channel) * space + e % space);
}

// part[channel][p] = sum of the part's x, and of their squared distances from the part's mean.
extern "C" __global__ void BatchParts(const scalar* x, float* part, long long channels, long long space, long long elements, int parts) {
    long long channel = blockIdx.x / parts;
    int p = blockIdx.x % parts;
    Part own = part_of(elements, p, parts);
    float sum = 0, spread = 0;
    bool four = space % 4 == 0;
    if (four) for_each_four(own, channel, channels, space, [&](long long at) { Floats v = load4(x + at); for (int k = 0; k < 4; k++) sum += v.at[k]; });
    else for_each(own, channel, channels, space, [&](long long at) { sum += widen(x[at]); });
    sum = block_sum(sum);
    float mean = sum / (own.to - own.from);
    if (four) for_each_four(own, channel, channels, space, [&](long long at) { Floats v = load4(x + at); for (int k = 0; k < 4; k++) spread += (v.at[k] - mean) * (v.at[k] - mean); });
    else for_each(own, channel, channels, space, [&](long long at) { float d = widen(x[at]) - mean; spread += d * d; });
    spread = block_sum(spread);
    if (threadIdx.x == 0) part[2 * blockIdx.x] = sum, part[2 * blockIdx.x + 1] = spread;
}

// Mean and variance of each channel from its parts (parts = 0: the given ones), the results of the operator, and line[channel] = factor and shift of y = x · factor + shift.
extern "C" __global__ void BatchStatistics(const float* part, const scalar* scale, const scalar* bias, const scalar* old_mean, const scalar* old_variance, float* line, scalar* running_mean, scalar* running_variance,
    scalar* saved_mean, scalar* saved_inverse, long long channels, long long elements, int parts, float epsilon, float momentum) {
    for (long long c = first_index(); c < channels; c += index_stride()) {
        float mean = widen(old_mean[c]), variance = widen(old_variance[c]), kept_mean = mean, kept_variance = variance;
        if (parts > 0) {
            float sum = 0, spread = 0;
            for (int p = 0; p < parts; p++) sum += part[2 * (c * parts + p)];
            mean = sum / elements;
            for (int p = 0; p < parts; p++) {
                Part own = part_of(elements, p, parts);
                float count = (float)(own.to - own.from), away = count > 0 ? part[2 * (c * parts + p)] / count - mean : 0;
                spread += count > 0 ? part[2 * (c * parts + p) + 1] + count * away * away : 0;
            }
            variance = spread / elements;
            kept_mean = momentum * kept_mean + (1 - momentum) * mean, kept_variance = momentum * kept_variance + (1 - momentum) * variance;
        }
        float inverse = 1 / sqrtf(variance + epsilon), factor = inverse * widen(scale[c]);
        line[2 * c] = factor, line[2 * c + 1] = widen(bias[c]) - mean * factor;
        if (running_mean) narrow(kept_mean, running_mean + c);
        if (running_variance) narrow(kept_variance, running_variance + c);
        if (saved_mean) narrow(mean, saved_mean + c);
        if (saved_inverse) narrow(inverse, saved_inverse + c);
    }
}

extern "C" __global__ void BatchNormalize(const scalar* x, const float* line, scalar* y, long long channels, long long space, long long n) {
    if (space % 4 == 0) {
        for (long long i = 4 * first_index(); i < n; i += 4 * index_stride()) {
            long long c = i / space % channels;
            Floats v = load4(x + i);
            for (int k = 0; k < 4; k++) v.at[k] = v.at[k] * line[2 * c] + line[2 * c + 1];
            store4(y + i, v);
        }
        return;
    }
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long c = i / space % channels;
        narrow(widen(x[i]) * line[2 * c] + line[2 * c + 1], y + i);
    }
}

// part[channel][p] = Σ dy and Σ dy · (x − mean) over the part.
extern "C" __global__ void BatchGradParts(const scalar* dy, const scalar* x, const scalar* means, float* part, long long channels, long long space, long long elements, int parts) {
    long long channel = blockIdx.x / parts;
    Part own = part_of(elements, blockIdx.x % parts, parts);
    float mean = widen(means[channel]), sum = 0, along = 0;
    if (space % 4 == 0)
        for_each_four(own, channel, channels, space, [&](long long at) {
            Floats d = load4(dy + at), v = load4(x + at);
            for (int k = 0; k < 4; k++) sum += d.at[k], along += d.at[k] * (v.at[k] - mean);
        });
    else
        for_each(own, channel, channels, space, [&](long long at) {
            float d = widen(dy[at]);
            sum += d, along += d * (widen(x[at]) - mean);
        });
    sum = block_sum(sum);
    along = block_sum(along);
    if (threadIdx.x == 0) part[2 * blockIdx.x] = sum, part[2 * blockIdx.x + 1] = along;
}

// line[channel] = factor, mean, slope and average of dx = factor · (dy − average − (x − mean) · slope).
extern "C" __global__ void BatchGradSums(const float* part, const scalar* scale, const scalar* means, const scalar* inverses, float* line, scalar* d_scale, scalar* d_bias, long long channels, long long elements, int parts) {
    for (long long c = first_index(); c < channels; c += index_stride()) {
        float sum = 0, along = 0, inverse = widen(inverses[c]);
        for (int p = 0; p < parts; p++) sum += part[2 * (c * parts + p)], along += part[2 * (c * parts + p) + 1];
        along *= inverse;
        line[4 * c] = widen(scale[c]) * inverse, line[4 * c + 1] = widen(means[c]), line[4 * c + 2] = inverse * along / elements, line[4 * c + 3] = sum / elements;
        if (d_scale) narrow(along, d_scale + c);
        if (d_bias) narrow(sum, d_bias + c);
    }
}

extern "C" __global__ void BatchGrad(const scalar* dy, const scalar* x, const float* line, scalar* dx, long long channels, long long space, long long n) {
    if (space % 4 == 0) {
        for (long long i = 4 * first_index(); i < n; i += 4 * index_stride()) {
            const float* l = line + 4 * (i / space % channels);
            Floats d = load4(dy + i), v = load4(x + i);
            for (int k = 0; k < 4; k++) v.at[k] = l[0] * (d.at[k] - l[3] - (v.at[k] - l[1]) * l[2]);
            store4(dx + i, v);
        }
        return;
    }
    for (long long i = first_index(); i < n; i += index_stride()) {
        const float* l = line + 4 * (i / space % channels);
        narrow(l[0] * (widen(dy[i]) - l[3] - (widen(x[i]) - l[1]) * l[2]), dx + i);
    }
}
