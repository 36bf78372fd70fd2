// Cross-entropy and its gradient. Scores are slices of `length` classes that lie `inner` apart, one block per slice; a label that is no class gives NaN.
// Specification: CrossEntropy.Cpu.cs, CrossEntropyStep.Cpu.cs, LinearCrossEntropyStep.Cpu.cs
#include "common.cuh"

struct Labels { const void* at; const scalar* weight; long long ignored; long long classes; int wide; int pad; };

// The class of label i; -1 where it is ignored, -2 where it is none.
__device__ __forceinline__ long long class_of(const Labels& labels, long long i) {
    long long label = labels.wide ? ((const long long*)labels.at)[i] : ((const int*)labels.at)[i];
    return label == labels.ignored ? -1 : label >= 0 && label < labels.classes ? label : -2;
}

__device__ __forceinline__ float weight_of(const Labels& labels, long long label) { return label < 0 ? 0 : labels.weight ? widen(labels.weight[label]) : 1; }

// One block: *total = sum of the weights of all labels.
extern "C" __global__ void TotalWeight(Labels labels, long long count, double* total) {
    double sum = 0;
    for (long long i = threadIdx.x; i < count; i += BLOCK) sum += weight_of(labels, class_of(labels, i));
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}

__device__ __forceinline__ float slice_max(const scalar* x, long long length, long long inner) {
    float most = negative_infinity();
    for (long long i = threadIdx.x; i < length; i += BLOCK) most = larger(most, widen(x[i * inner]));
    return block_max(most);
}

__device__ __forceinline__ float slice_sum_exp(const scalar* x, long long length, long long inner, float most) {
    float sum = 0;
    for (long long i = threadIdx.x; i < length; i += BLOCK) sum += expf(widen(x[i * inner]) - most);
    return block_sum(sum);
}

extern "C" __global__ void SliceLoss(const scalar* x, Labels labels, scalar* log_prob, float* loss, long long length, long long inner) {
    long long slice = blockIdx.x, first = slice / inner * length * inner + slice % inner, label = class_of(labels, slice);
    float most = slice_max(x + first, length, inner), norm = most + logf(slice_sum_exp(x + first, length, inner, most));
    if (threadIdx.x == 0) loss[slice] = label == -2 ? not_a_number() : label < 0 ? 0 : weight_of(labels, label) * (norm - widen(x[first + label * inner]));
    if (log_prob)
        for (long long i = threadIdx.x; i < length; i += BLOCK) narrow(widen(x[first + i * inner]) - norm, log_prob + first + i * inner);
}

// loss[slice] = −weight · x[label], x being log-probabilities.
extern "C" __global__ void PickLosses(const scalar* x, Labels labels, float* loss, long long slices, long long length, long long inner) {
    for (long long i = first_index(); i < slices; i += index_stride()) {
        long long label = class_of(labels, i);
        loss[i] = label == -2 ? not_a_number() : label < 0 ? 0 : -weight_of(labels, label) * widen(x[i / inner * length * inner + i % inner + label * inner]);
    }
}

// One block: the losses' sum, divided by *total where it is given (0 where that is 0).
extern "C" __global__ void SumLosses(const float* loss, long long count, const double* total, scalar* out) {
    double sum = 0;
    for (long long i = threadIdx.x; i < count; i += BLOCK) sum += loss[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow((float)(!total ? sum : *total == 0 && sum == sum ? 0 : sum / *total), out);
}

extern "C" __global__ void CopyLosses(const float* loss, long long count, scalar* out) {
    for (long long i = first_index(); i < count; i += index_stride()) narrow(loss[i], out + i);
}

// dx = (exp(log_prob) − onehot) · weight · dy [/ *total] + bias; dy has one element per slice or (each = 0) one for all; dx may be log_prob.
extern "C" __global__ void SliceGrad(const scalar* dy, int each, const scalar* log_prob, Labels labels, const scalar* bias, const double* total, scalar* dx, long long length, long long inner) {
    long long slice = blockIdx.x, first = slice / inner * length * inner + slice % inner, label = class_of(labels, slice);
    float outer = each ? widen(dy[slice]) : total ? (*total == 0 ? 0 : widen(*dy) / (float)*total) : widen(*dy), scale = label == -2 ? not_a_number() : weight_of(labels, label) * outer;
    for (long long i = threadIdx.x; i < length; i += BLOCK) {
        long long at = first + i * inner;
        float g = label == -1 ? 0 : expf(widen(log_prob[at])) * scale - (i == label ? scale : 0);
        narrow(bias ? g + widen(bias[at]) : g, dx + at);
    }
}

// Loss and gradient of a row in one pass; dx may be x. scale = dY / *total.
extern "C" __global__ void RowStep(const scalar* x, Labels labels, const float* dy, const double* total, scalar* dx, float* loss, long long length) {
    long long row = blockIdx.x, first = row * length, label = class_of(labels, row);
    x += first, dx += first;
    if (label == -1) {
        for (long long i = threadIdx.x; i < length; i += BLOCK) narrow(0.f, dx + i);
        if (threadIdx.x == 0) loss[row] = 0;
        return;
    }
    float most = slice_max(x, length, 1), sum = slice_sum_exp(x, length, 1, most), scale = label == -2 ? not_a_number() : *total == 0 ? 0 : *dy / (float)*total;
    if (threadIdx.x == 0) loss[row] = label == -2 ? not_a_number() : most + logf(sum) - widen(x[label]);
    __syncthreads();
    float share = scale / sum;
    if (length % 4 == 0) {
        for (long long i = 4 * threadIdx.x; i < length; i += 4 * BLOCK) {
            Floats v = load4(x + i);
            for (int k = 0; k < 4; k++) v.at[k] = expf(v.at[k] - most) * share - (i + k == label ? scale : 0);
            store4(dx + i, v);
        }
        return;
    }
    for (long long i = threadIdx.x; i < length; i += BLOCK) narrow(expf(widen(x[i]) - most) * share - (i == label ? scale : 0), dx + i);
}

// The row's largest number and the sum of exp(z − it) in one pass; z from −∞ on.
struct Norm { float most; float sum; };

template <class F> __device__ __forceinline__ Norm row_norm(long long length, F z) {
    float most = -3.402823466e38f, sum = 0;
    for (long long i = threadIdx.x; i < length; i += BLOCK) {
        float value = z(i), now = larger(value, most);
        sum = sum * expf(most - now) + expf(value - now);
        most = now;
    }
    float all = block_max(most);
    return {all, block_sum(sum * expf(most - all))};
}

// Row `first + block` of a linear layer: z = scale · (x + bias), or softcap · tanh of that, in float32 becomes its loss and, where gradients are wanted, the gradient of x over the same
// memory, in the type of the model. Every turn reads before it writes, and what it writes ends before what the next turn reads. dY / *total is the share of a label.
extern "C" __global__ void LinearRow(float* logits, const scalar* bias, float scale, float softcap, Labels labels, long long first, const float* dy, const double* total, scalar* gradients, float* loss, long long length) {
    float* x = logits + blockIdx.x * length;
    scalar* dx = (scalar*)x;
    long long label = class_of(labels, first + blockIdx.x);
    auto z = [&](long long i) {
        float u = scale * (bias ? x[i] + widen(bias[i]) : x[i]);
        return softcap != 0 ? softcap * tanhf(u) : u;
    };
    if (label == -1) {
        for (long long i = threadIdx.x; gradients && i < length; i += BLOCK) narrow(0.f, dx + i);
        if (threadIdx.x == 0) loss[first + blockIdx.x] = 0;
        return;
    }
    Norm norm = row_norm(length, z);
    if (threadIdx.x == 0) loss[first + blockIdx.x] = label == -2 ? not_a_number() : norm.most + logf(norm.sum) - z(label);
    if (!gradients) return;
    float step = scale * (label == -2 ? not_a_number() : *total == 0 ? 0 : *dy / (float)*total), share = step / norm.sum;
    __syncthreads();
    for (long long base = 0; base < length; base += 4 * BLOCK) {
        float g[4];
        for (int k = 0; k < 4; k++) {
            long long i = base + k * BLOCK + threadIdx.x;
            if (i >= length) continue;
            float value = z(i);
            g[k] = expf(value - norm.most) * share - (i == label ? step : 0);
            if (softcap != 0) g[k] *= softcap - value * value / softcap;
        }
        __syncthreads();
        for (int k = 0; k < 4; k++) {
            long long i = base + k * BLOCK + threadIdx.x;
            if (i < length) narrow(g[k], dx + i);
        }
    }
}

// sums (+)= the rows, which begin `step` apart.
extern "C" __global__ void AddRows(const scalar* rows, long long step, long long count, float* sums, long long length, int add) {
    for (long long i = first_index(); i < length; i += index_stride()) {
        float sum = add ? sums[i] : 0;
        for (long long r = 0; r < count; r++) sum += widen(rows[r * step + i]);
        sums[i] = sum;
    }
}
