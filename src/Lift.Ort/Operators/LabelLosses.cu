// Cross-entropy with labels that are probabilities, or weighted one by one. Rows of `classes` scores, one block each; a label that is no class gives NaN.
// Specification: LabelLosses.Cpu.cs
#include "common.cuh"

// ln Σ eˣ of a row, the same in all threads.
__device__ __forceinline__ float row_norm(const scalar* x, long long classes) {
    float most = negative_infinity(), sum = 0;
    for (long long i = threadIdx.x; i < classes; i += BLOCK) most = larger(most, widen(x[i]));
    most = block_max(most);
    for (long long i = threadIdx.x; i < classes; i += BLOCK) sum += expf(widen(x[i]) - most);
    return most + logf(block_sum(sum));
}

// The label of a row; -1 where it is no class.
__device__ __forceinline__ long long label_of(const void* labels, int wide, long long row, long long classes) {
    long long label = wide ? ((const long long*)labels)[row] : ((const int*)labels)[row];
    return label >= 0 && label < classes ? label : -1;
}

// loss[row] = −Σ label · log softmax(x)
extern "C" __global__ void DenseLoss(const scalar* x, const scalar* label, scalar* log_prob, float* loss, long long classes) {
    long long first = blockIdx.x * classes;
    float norm = row_norm(x + first, classes), sum = 0;
    for (long long i = first + threadIdx.x; i < first + classes; i += BLOCK) {
        float log = widen(x[i]) - norm;
        sum -= widen(label[i]) * log;
        if (log_prob) narrow(log, log_prob + i);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) loss[blockIdx.x] = sum;
}

// loss[row] = −weight[row] · log softmax(x)[label]
extern "C" __global__ void SparseLoss(const scalar* x, const void* labels, int wide, const scalar* weight, scalar* log_prob, float* loss, long long classes) {
    long long first = blockIdx.x * classes, label = label_of(labels, wide, blockIdx.x, classes);
    float norm = row_norm(x + first, classes);
    if (threadIdx.x == 0) loss[blockIdx.x] = label < 0 ? not_a_number() : (norm - widen(x[first + label])) * (weight ? widen(weight[blockIdx.x]) : 1);
    for (long long i = first + threadIdx.x; log_prob && i < first + classes; i += BLOCK) narrow(widen(x[i]) - norm, log_prob + i);
}

// One block: *total = Σ weight
extern "C" __global__ void TotalOfWeights(const scalar* weight, long long n, double* total) {
    double sum = 0;
    for (long long i = threadIdx.x; i < n; i += BLOCK) sum += widen(weight[i]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) *total = sum;
}

// One block: the losses' sum, divided by *total or, where that is not given, by `divisor`.
extern "C" __global__ void AddLosses(const float* loss, long long rows, const double* total, double divisor, scalar* out) {
    double sum = 0;
    for (long long i = threadIdx.x; i < rows; i += BLOCK) sum += loss[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow((float)(sum / (total ? *total : divisor)), out);
}

// dx = (exp(log_prob) − label) · dy / divisor
extern "C" __global__ void DenseGrad(const scalar* dy, const scalar* log_prob, const scalar* label, float divisor, scalar* dx, long long n) {
    float scale = widen(*dy) / divisor;
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats l = load4(log_prob + 4 * i), t = load4(label + 4 * i);
        for (int k = 0; k < 4; k++) l.at[k] = (expf(l.at[k]) - t.at[k]) * scale;
        store4(dx + 4 * i, l);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow((expf(widen(log_prob[i])) - widen(label[i])) * scale, dx + i);
}

// dx = (exp(log_prob) − onehot(label)) · weight · dy / (*total or divisor)
extern "C" __global__ void SparseGrad(const scalar* dy, const scalar* log_prob, const void* labels, int wide, const scalar* weight, const double* total, float divisor, scalar* dx, long long classes) {
    long long first = blockIdx.x * classes, label = label_of(labels, wide, blockIdx.x, classes);
    float scale = label < 0 ? not_a_number() : widen(*dy) / (total ? (float)*total : divisor) * (weight ? widen(weight[blockIdx.x]) : 1);
    for (long long i = threadIdx.x; i < classes; i += BLOCK) narrow(expf(widen(log_prob[first + i])) * scale - (i == label ? scale : 0), dx + first + i);
}
