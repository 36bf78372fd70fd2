// Attention in tiles, in the manner of FlashAttention-2 (Dao 2023): what its kernels share. Specification: Attention.cs, AttentionScores.cs, AttentionGrad.Cpu.cs
// A matrix is one batch and head of q; k and v serve `each` of them that follow each other. 16-bit numbers, sums in float32, no atomics: the same bits in every run.
#pragma once
#include "tensor_core.cuh"

#define TILE 64                  /* rows or columns of a tile of the map, and of what the kernels load at a time */
#define LOG2E 1.4426950408889634f

// A tensor of matrices: that of matrix n begins at (n / heads) · outer + (n % heads / each) · inner; the numbers of a row lie side by side. All are multiples of 8 elements.
struct Part { scalar* at; long long outer, inner, row; int each, pad; };
// A bias or mask (float32), or keep (bytes), that is broadcast to the scores; strides are 0 along axes that it does not have.
struct Over { const void* at; long long outer, inner, row, column; int each, pad; };
struct Flash {
    Part q, k, v, y, dy, dq, dk, dv;
    Over bias, keep, mask;
    float* lse;                  // count · rows
    float *shift, *share, *delta; // count · padded rows: p = exp(s − shift) · share; delta = Σ p dp
    unsigned char* special;      // count · row tiles: 1 where a share is not 1
    const float *map, *reach;    // see FlashTiles.cu; null where there is no mask
    int count, heads, each;      // matrices of q; of a batch; that share one of k
    int rows, columns, depth, width;
    int map_outer, map_inner, map_rows;
    float scale, cap, fill, floor;
    int guard, pad;
};

__device__ __forceinline__ int row_tiles(const Flash& f) { return (f.rows + TILE - 1) / TILE; }
__device__ __forceinline__ int column_tiles(const Flash& f) { return (f.columns + TILE - 1) / TILE; }

template <class T> __device__ __forceinline__ long long begin_of(const Flash& f, const T& x, int n) { return n / f.heads * x.outer + n % f.heads / x.each * x.inner; }

// ---- scores --------------------------------------------------------------------------------------------------------------------------
__device__ __forceinline__ float capped(const Flash& f, float raw) { return 1 - 2 / (1 + exp2_fast(2 * LOG2E * f.scale * raw / f.cap)); } // tanh

// What passes the floor: all above it, half at it, as of a maximum of equals.
__device__ __forceinline__ float passing(const Flash& f, float s) { return s > f.floor ? 1 : s == f.floor ? 0.5f : 0; }

// Calls `what(row, column, m, j, i)` for each of a thread's sums c[m][j][i], the first of its warp being that of `row` and `column`; TURNED: the left operand was k.
template <bool TURNED, int M, int N, class What> __device__ __forceinline__ void each_score(int row, int column, What what) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int j = 0; j < N / 8; j++)
#pragma unroll
            for (int i = 0; i < 4; i++) {
                int along = m * 16 + i / 2 * 8 + lane / 4, across = j * 8 + lane % 4 * 2 + i % 2;
                what(row + (TURNED ? across : along), column + (TURNED ? along : across), m, j, i);
            }
}

// Adds a bias or mask to scores.
template <bool TURNED, int M, int N> __device__ __forceinline__ void add_over(const Flash& f, const Over& over, int n, int row, int column, float (&s)[M][N / 8][4]) {
    const float* from = (const float*)over.at + begin_of(f, over, n);
    each_score<TURNED, M, N>(row, column, [&](int r, int c, int m, int j, int i) {
        if (r < f.rows && c < f.columns) s[m][j][i] += from[r * over.row + c * over.column];
    });
}

// Products in s become scores, −∞ behind the last column; what ds holds is multiplied with the derivatives on the way (it may be s where that is not wanted).
template <bool TURNED, bool GRADIENT, int M, int N> __device__ __forceinline__ void finish_scores(const Flash& f, int n, int row, int column, float (&s)[M][N / 8][4], float (&ds)[M][N / 8][4]) {
    if (f.cap > 0) each_score<TURNED, M, N>(row, column, [&](int, int, int m, int j, int i) {
        float tanh = capped(f, s[m][j][i]);
        s[m][j][i] = f.cap * tanh;
        if (GRADIENT) ds[m][j][i] *= 1 - tanh * tanh;
    });
    else each_score<TURNED, M, N>(row, column, [&](int, int, int m, int j, int i) { s[m][j][i] *= f.scale; });
    if (f.bias.at) add_over<TURNED, M, N>(f, f.bias, n, row, column, s);
    if (f.keep.at) {
        const unsigned char* from = (const unsigned char*)f.keep.at + begin_of(f, f.keep, n);
        each_score<TURNED, M, N>(row, column, [&](int r, int c, int m, int j, int i) {
            if (r >= f.rows || c >= f.columns || from[r * f.keep.row + c * f.keep.column]) return;
            s[m][j][i] = f.fill;
            if (GRADIENT) ds[m][j][i] = 0;
        });
    }
    if (f.mask.at) add_over<TURNED, M, N>(f, f.mask, n, row, column, s);
    if (f.floor > negative_infinity()) each_score<TURNED, M, N>(row, column, [&](int, int, int m, int j, int i) {
        if (GRADIENT) ds[m][j][i] *= passing(f, s[m][j][i]);
        if (s[m][j][i] < f.floor) s[m][j][i] = f.floor;
    });
    each_score<TURNED, M, N>(row, column, [&](int, int c, int m, int j, int i) { if (c >= f.columns) s[m][j][i] = negative_infinity(); });
}

// ---- which tiles there are -----------------------------------------------------------------------------------------------------------
// 0: no probability in it, 1: nothing is added to its scores and all columns are there, 2: any other. `more`: tiles of the map in each direction that are one here.
__device__ __forceinline__ int kind_of(const Flash& f, int n, int row_tile, int column_tile, int more_rows, int more_columns) {
    int any = 0, all = 1;
    float limit = 0;
    if (f.map) {
        float reach = 1.001f * f.scale * sqrtf(f.reach[n] * f.reach[f.count + n / f.each]); // no score differs from what is added to it by more
        if (f.cap > 0 && !(reach < f.cap)) reach = f.cap;
        limit = -2 * reach - 105; // exp(−105) is 0
    }
    for (int r = row_tile; r < row_tile + more_rows && r < row_tiles(f); r++)
        for (int c = column_tile; c < column_tile + more_columns && c < column_tiles(f); c++) {
            int kind = 1;
            if (f.map) {
                long long at = (n / f.heads * f.map_outer + n % f.heads * f.map_inner) * (long long)f.map_rows + (f.map_rows == 1 ? 0 : r);
                float below = f.map[at * column_tiles(f) + c];
                kind = below > 0 ? 1 : below < limit ? 0 : 2;
            }
            if (kind == 1 && (f.cap > 0 || f.floor > negative_infinity() || (c + 1) * TILE > f.columns)) kind = 2;
            any |= kind != 0, all &= kind == 1;
        }
    return !any ? 0 : all ? 1 : 2;
}

__device__ __forceinline__ int next_tile(const unsigned char* kinds, int at, int end) {
    do at++;
    while (at < end && !kinds[at]);
    return at;
}

// ---- tiles in shared memory and in registers: rows of D + 8 numbers, so that eight rows of ldmatrix lie in different banks ------------
template <int D, int ROWS, int THREADS> __device__ __forceinline__ void load_tile(scalar* to, const scalar* from, long long row, int first, int rows, int width) {
#pragma unroll
    for (int i = 0; i < ROWS * (D / 8) / THREADS; i++) {
        int chunk = i * THREADS + threadIdx.x, r = chunk / (D / 8), c = chunk % (D / 8) * 8;
        bool there = first + r < rows && c < width;
        copy_async(to + r * (D + 8) + c, there ? from + (first + r) * row + c : from, there);
    }
}

// c += a · bᵀ; a: M · 16 rows and b: N rows of D numbers in shared memory
template <int D, int M, int N> __device__ __forceinline__ void multiply_rows(float (&c)[M][N / 8][4], const scalar* a, const scalar* b) {
    int lane = threadIdx.x % 32;
    a += lane % 16 * (D + 8) + lane / 16 * 8;
    b += (lane / 16 * 8 + lane % 8) * (D + 8) + (lane & 8);
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
        unsigned left[M][4], right[4];
#pragma unroll
        for (int m = 0; m < M; m++) load_matrices(left[m], a + m * 16 * (D + 8) + k * 16);
#pragma unroll
        for (int j = 0; j < N / 16; j++) {
            load_matrices(right, b + j * 16 * (D + 8) + k * 16);
#pragma unroll
            for (int m = 0; m < M; m++) multiply_add(c[m][2 * j], left[m], right), multiply_add(c[m][2 * j + 1], left[m], right + 2);
        }
    }
}

// c += p · b; p: M · 16 x N as sums in registers, b: N rows of D numbers in shared memory
template <int D, int M, int N> __device__ __forceinline__ void add_rows(float (&c)[M][D / 8][4], const float (&p)[M][N / 8][4], const scalar* b) {
    int lane = threadIdx.x % 32;
    b += lane % 16 * (D + 8) + lane / 16 * 8;
#pragma unroll
    for (int k = 0; k < N / 16; k++) {
        unsigned left[M][4], right[4];
#pragma unroll
        for (int m = 0; m < M; m++) {
            left[m][0] = pair(p[m][2 * k][0], p[m][2 * k][1]);
            left[m][1] = pair(p[m][2 * k][2], p[m][2 * k][3]);
            left[m][2] = pair(p[m][2 * k + 1][0], p[m][2 * k + 1][1]);
            left[m][3] = pair(p[m][2 * k + 1][2], p[m][2 * k + 1][3]);
        }
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            load_transposed(right, b + k * 16 * (D + 8) + j * 16);
#pragma unroll
            for (int m = 0; m < M; m++) multiply_add(c[m][2 * j], left[m], right), multiply_add(c[m][2 * j + 1], left[m], right + 2);
        }
    }
}

template <int A, int B> __device__ __forceinline__ void clear(float (&c)[A][B][4]) {
#pragma unroll
    for (int i = 0; i < A * B * 4; i++) c[i / 4 / B][i / 4 % B][i % 4] = 0;
}

// Writes M · 16 rows of sums, each times its factor, to where rows `first` and on of a matrix lie.
template <int D, int M> __device__ __forceinline__ void store_rows(const float (&c)[M][D / 8][4], const float (&factor)[M][2], scalar* to, long long row, int first, int rows, int width) {
    int lane = threadIdx.x % 32;
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int r = first + m * 16 + h * 8 + lane / 4;
            if (r >= rows) continue;
#pragma unroll
            for (int j = 0; j < D / 8; j++)
                if (j * 8 < width) *(unsigned*)(to + r * row + j * 8 + lane % 4 * 2) = pair(c[m][j][2 * h] * factor[m][h], c[m][j][2 * h + 1] * factor[m][h]);
        }
}
