// Cross-entropy and its gradient. Scores are slices of `length` classes that lie `inner` apart, one block per slice; a label that is no class gives NaN.
// Specification: CrossEntropy.Cpu.cs, CrossEntropyStep.Cpu.cs
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
extern "C" __global__ void RowStep(const scalar* x, Labels labels, const scalar* dy, const double* total, scalar* dx, float* loss, long long length) {
    long long row = blockIdx.x, first = row * length, label = class_of(labels, row);
    x += first, dx += first;
    if (label == -1) {
        for (long long i = threadIdx.x; i < length; i += BLOCK) narrow(0.f, dx + i);
        if (threadIdx.x == 0) loss[row] = 0;
        return;
    }
    float most = slice_max(x, length, 1), sum = slice_sum_exp(x, length, 1, most), scale = label == -2 ? not_a_number() : *total == 0 ? 0 : widen(*dy) / (float)*total;
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
