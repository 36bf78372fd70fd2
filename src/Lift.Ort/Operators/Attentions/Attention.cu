// Attention around cuBLAS products: scores of some rows of some heads become probabilities, and their gradients. One block per row; sums are float32 and in a fixed order.
// Specification: Attention.cs, AttentionScores.cs, AttentionGrad.Cpu.cs
#include "common.cuh"

// A bias or mask that is broadcast to the scores; of: where each matrix's part begins; row and column: strides, 0 along axes that it does not have.
struct Mask { const void* at; const long long* of; long long row, column; };
// number: which matrix each of the launch's is; first: their first row; rows: of a matrix, those of the launch being gridDim / matrices.
struct Form { float scale, cap, fill, floor; int guard, pad; Mask bias, keep, mask; const long long* number; long long first, rows; };

__device__ __forceinline__ float added(const Mask& m, long long n, long long row, long long j) { return ((const float*)m.at)[m.of[n] + row * m.row + j * m.column]; }

__device__ __forceinline__ bool kept(const Mask& m, long long n, long long row, long long j) { return !m.at || ((const unsigned char*)m.at)[m.of[n] + row * m.row + j * m.column]; }

__device__ __forceinline__ float capped(const Form& f, float raw) { return f.cap > 0 ? tanhf(f.scale * raw / f.cap) : 0; }

// The score of a product of a row of q with a row of k, before the floor.
__device__ __forceinline__ float unlifted(const Form& f, long long n, long long row, long long j, float raw) {
    float s = f.cap > 0 ? f.cap * capped(f, raw) : f.scale * raw;
    if (f.bias.at) s += added(f.bias, n, row, j);
    if (!kept(f.keep, n, row, j)) s = f.fill;
    if (f.mask.at) s += added(f.mask, n, row, j);
    return s;
}

__device__ __forceinline__ float score(const Form& f, long long n, long long row, long long j, float raw) {
    float s = unlifted(f, n, row, j, raw);
    return s < f.floor ? f.floor : s;
}

// What passes the floor: all above it, half at it, as of a maximum of equals.
__device__ __forceinline__ float passing(const Form& f, float s) { return !(f.floor > negative_infinity()) || s > f.floor ? 1 : s == f.floor ? 0.5f : 0; }

// s: products, which become scores; p: probabilities, may be s; lse: log Σ exp(s), or null.
extern "C" __global__ void AttentionSoftmax(float* s, scalar* p, float* lse, Form f, long long columns, long long rows) {
    long long n = f.number[blockIdx.x / rows], row = f.first + blockIdx.x % rows;
    s += blockIdx.x * columns, p += blockIdx.x * columns;
    float most = negative_infinity(), sum = 0;
    for (long long j = threadIdx.x; j < columns; j += BLOCK) most = larger(most, s[j] = score(f, n, row, j, s[j]));
    most = block_max(most);
    bool nothing = f.guard && most == negative_infinity();
    for (long long j = threadIdx.x; j < columns; j += BLOCK) sum += nothing ? 0 : expf(s[j] - most);
    sum = block_sum(sum);
    for (long long j = threadIdx.x; j < columns; j += BLOCK) narrow(nothing ? 0 : expf(s[j] - most) / sum, p + j);
    if (lse && threadIdx.x == 0) lse[n * f.rows + row] = nothing ? -negative_infinity() : most + logf(sum);
}

// s: products of q and k; dp: of dy and v; p: probabilities, may be s; ds: gradient of the products, may be dp.
extern "C" __global__ void AttentionSlopes(float* s, float* dp, scalar* p, scalar* ds, const float* lse, Form f, long long columns, long long rows) {
    long long n = f.number[blockIdx.x / rows], row = f.first + blockIdx.x % rows;
    s += blockIdx.x * columns, p += blockIdx.x * columns, dp += blockIdx.x * columns, ds += blockIdx.x * columns;
    float by = lse[n * f.rows + row], share = 1, dot = 0;
    if (!(by < 1e4f && by > -1e4f) && by != -negative_infinity()) { // the logarithm of the sum is lost in so large a number
        float most = negative_infinity(), sum = 0;
        for (long long j = threadIdx.x; j < columns; j += BLOCK) most = larger(most, score(f, n, row, j, s[j]));
        by = block_max(most);
        for (long long j = threadIdx.x; j < columns; j += BLOCK) sum += expf(score(f, n, row, j, s[j]) - by);
        share = 1 / block_sum(sum);
    }
    for (long long j = threadIdx.x; j < columns; j += BLOCK) dot += expf(score(f, n, row, j, s[j]) - by) * share * dp[j];
    dot = block_sum(dot);
    for (long long j = threadIdx.x; j < columns; j += BLOCK) {
        float raw = s[j], probability = expf(score(f, n, row, j, raw) - by) * share, d = dp[j], t = capped(f, raw);
        narrow(probability, p + j);
        narrow(!kept(f.keep, n, row, j) ? 0.f : probability * (d - dot) * f.scale * (1 - t * t) * passing(f, unlifted(f, n, row, j, raw)), ds + j);
    }
}

// to[at(m) + i · row + c · column] = from[m][i][c], for n elements; at(m) is of[m], or m · next where that is not given.
extern "C" __global__ void PlaceMatrices(const float* from, scalar* to, const long long* of, long long next, long long rows, long long columns, long long row, long long column, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long m = i / columns / rows;
        narrow(from[i], to + (of ? of[m] : m * next) + i / columns % rows * row + i % columns * column);
    }
}

// to[m][i][c] = from[of[m] + i · row + c · column]
extern "C" __global__ void PackMatrices(const scalar* from, scalar* to, const long long* of, long long rows, long long columns, long long row, long long column, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) to[i] = from[of[i / columns / rows] + i / columns % rows * row + i % columns * column];
}
