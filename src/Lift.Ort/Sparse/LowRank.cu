// Element-wise steps of the subspace iteration over a batch of matrices; all are column-major, m x q or q x q, one behind the other.
// Specification: LinearAlgebra/SubspaceIteration.cs
#include "common.cuh"

// y ← seeded numbers, nearly normal (sums of four uniform ones): those of the CPU, which counts row by row.
extern "C" __global__ void Fill(float* y, unsigned seed, int m, int q) {
    for (long long i = first_index(); i < (long long)m * q; i += index_stride()) {
        long long row = i % m, column = i / m;
        unsigned long long x = (unsigned long long)seed + (unsigned long long)(row * q + column + 1) * 0x9e3779b97f4a7c15ull;
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
        x ^= x >> 31;
        y[i] = (float)((short)x + (short)(x >> 16) + (short)(x >> 32) + (short)(x >> 48));
    }
}

extern "C" __global__ void ToDouble(const float* x, double* y, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) y[i] = x[i];
}

extern "C" __global__ void ToFloat(const double* x, float* y, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) y[i] = (float)x[i];
}

// One step of the Chebyshev recurrence on each matrix of `per` entries, with scale[b] = 2/a of its filter: at step 0, y1 = scale·z − y0;
// then y0 = 2·scale·z − 2·y1 − y0, where z = G·y1, and the caller swaps. A matrix whose degree is reached keeps y1 as it is.
extern "C" __global__ void Chebyshev(float* y0, float* y1, const float* z, const float* scale, const int* degree, int step, long long per, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        int b = (int)(i / per);
        if (step == 0) y1[i] = degree[b] > 0 ? scale[b] * z[i] - y0[i] : y0[i];
        else y0[i] = step < degree[b] ? 2 * scale[b] * z[i] - 2 * y1[i] - y0[i] : y1[i];
    }
}

// s (q x q of each matrix) += share·trace/q on its diagonal: one block per matrix.
extern "C" __global__ void ShiftDiagonal(double* s, int q, double share) {
    double* own = s + (long long)blockIdx.x * q * q;
    double sum = 0;
    for (int i = threadIdx.x; i < q; i += BLOCK) sum += own[(long long)i * (q + 1)];
    sum = block_sum(sum);
    for (int i = threadIdx.x; i < q; i += BLOCK) own[(long long)i * (q + 1)] += share * sum / q;
}

// y = x with the columns of each matrix in reverse order.
extern "C" __global__ void ReverseColumns(const double* x, double* y, int rows, int columns, long long n) {
    long long per = (long long)rows * columns;
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long b = i / per, at = i % per;
        y[i] = x[b * per + (columns - 1 - at / rows) * rows + at % rows];
    }
}

// out[b·rank + c] = Σ over rows of (z − theta[b·q + c]·y)², one block per column: blockIdx = b·rank + c.
extern "C" __global__ void Residuals(const double* z, const double* y, const double* theta, double* out, int m, int q, int rank) {
    int b = blockIdx.x / rank, c = blockIdx.x % rank;
    long long column = ((long long)b * q + c) * m;
    double sum = 0, t = theta[b * q + c];
    for (int r = threadIdx.x; r < m; r += BLOCK) {
        double d = z[column + r] - t * y[column + r];
        sum += d * d;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) out[blockIdx.x] = sum;
}

// The chosen columns of x (m x …, float64, ascending eigenvalues: column m−1−direction) as float32.
extern "C" __global__ void TakeColumns(const double* x, const int* direction, float* y, int m, int count) {
    for (long long i = first_index(); i < (long long)m * count; i += index_stride())
        y[i] = (float)x[(long long)(m - 1 - direction[i / m]) * m + i % m];
}

// y (columns x rows) = xᵀ of a column-major rows x columns matrix.
extern "C" __global__ void Transpose(const float* x, float* y, int rows, int columns) {
    for (long long i = first_index(); i < (long long)rows * columns; i += index_stride()) y[i % rows * columns + i / rows] = x[i];
}
