// The backward pass: probabilities are made anew from the rows' shift and share (FlashPrepare). One kernel goes over tiles of k for some rows of q and makes dq; another goes over
// tiles of q, of all heads that share a matrix of k, for some rows of k and v, and makes dk and dv. What both compute twice is the price of sums in a fixed order.
#pragma once
#include "flash.cuh"

// Of products in s with their dp in ds: the probabilities (in s), and the gradients of the products without the scale (in ds). `number(which, row, m, i)`: the row's shift, share or delta.
template <bool TURNED, int M, int N, class Number> __device__ __forceinline__ void slopes(const Flash& f, bool plain, int n, int row, int column, float (&s)[M][N / 8][4], float (&ds)[M][N / 8][4], Number number) {
    each_score<TURNED, M, N>(row, column, [&](int r, int, int m, int j, int i) { ds[m][j][i] -= number(2, r, m, i); });
    if (plain) each_score<TURNED, M, N>(row, column, [&](int r, int, int m, int j, int i) { s[m][j][i] = exp2_fast(fmaf(s[m][j][i], f.scale * LOG2E, -number(0, r, m, i) * LOG2E)); });
    else {
        finish_scores<TURNED, true, M, N>(f, n, row, column, s, ds);
        each_score<TURNED, M, N>(row, column, [&](int r, int, int m, int j, int i) { s[m][j][i] = exp2_fast((s[m][j][i] - number(0, r, m, i)) * LOG2E) * number(1, r, m, i); });
    }
    each_score<TURNED, M, N>(row, column, [&](int, int, int m, int j, int i) { ds[m][j][i] *= s[m][j][i]; });
}

// N: columns that a warp takes at a time.
template <int D, int M, int WARPS, int N> __device__ __forceinline__ void flash_queries(const Flash& f) {
    constexpr int ROWS = WARPS * M * 16, THREADS = WARPS * 32, STRIDE = D + 8;
    DYNAMIC_SHARED(memory); // q, dy, then k and v of two tiles, then kinds
    scalar *q = (scalar*)memory, *dy = q + ROWS * STRIDE, *k = dy + ROWS * STRIDE, *v = k + 2 * TILE * STRIDE;
    unsigned char* kinds = (unsigned char*)(v + 2 * TILE * STRIDE);
    int n = blockIdx.x % f.count, first = ((f.rows + ROWS - 1) / ROWS - 1 - blockIdx.x / f.count) * ROWS, warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = column_tiles(f);
    const scalar *from_k = f.k.at + begin_of(f, f.k, n), *from_v = f.v.at + begin_of(f, f.v, n);

    load_tile<D, ROWS, THREADS>(q, f.q.at + begin_of(f, f.q, n), f.q.row, first, f.rows, f.depth);
    load_tile<D, ROWS, THREADS>(dy, f.dy.at + begin_of(f, f.dy, n), f.dy.row, first, f.rows, f.width);
    for (int c = threadIdx.x; c < tiles; c += THREADS) {
        int kind = kind_of(f, n, first / TILE, c, (ROWS + TILE - 1) / TILE, 1);
        for (int r = first / TILE; r < (first + ROWS) / TILE && r < row_tiles(f); r++)
            if (kind && f.special[(long long)n * row_tiles(f) + r]) kind = 2;
        kinds[c] = (unsigned char)kind;
    }
    __syncthreads();
    int at = next_tile(kinds, -1, tiles);
    if (at < tiles) {
        load_tile<D, TILE, THREADS>(k, from_k, f.k.row, at * TILE, f.columns, f.depth);
        load_tile<D, TILE, THREADS>(v, from_v, f.v.row, at * TILE, f.columns, f.width);
    }
    commit_copies();

    float dq[M][D / 8][4], numbers[3][M][2]; // shift, share, delta
    clear(dq);
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            int row = first + (warp * M + m) * 16 + h * 8 + lane / 4;
            long long i = (long long)n * row_tiles(f) * TILE + row;
            bool there = row < f.rows;
            numbers[0][m][h] = there ? f.shift[i] : -negative_infinity();
            numbers[1][m][h] = there ? f.share[i] : 0;
            numbers[2][m][h] = there ? f.delta[i] : 0;
        }

    for (int stage = 0; at < tiles; stage ^= 1) {
        int next = next_tile(kinds, at, tiles);
        wait_copies<0>();
        __syncthreads();
        if (next < tiles) {
            load_tile<D, TILE, THREADS>(k + (stage ^ 1) * TILE * STRIDE, from_k, f.k.row, next * TILE, f.columns, f.depth);
            load_tile<D, TILE, THREADS>(v + (stage ^ 1) * TILE * STRIDE, from_v, f.v.row, next * TILE, f.columns, f.width);
        }
        commit_copies();
        bool plain = kinds[at] == 1;
        for (int part = 0; part < TILE; part += N) {
            const scalar *keys = k + (stage * TILE + part) * STRIDE, *values = v + (stage * TILE + part) * STRIDE;
            float s[M][N / 8][4], ds[M][N / 8][4];
            clear(s);
            multiply_rows<D, M, N>(s, q + warp * M * 16 * STRIDE, keys);
            clear(ds);
            multiply_rows<D, M, N>(ds, dy + warp * M * 16 * STRIDE, values);
slopes<false, M, N>(f, plain, n, first + warp * M * 16, at * TILE + part, s, ds, [&](int which, int, int m, int i) { return numbers[which][m][i / 2]; });
            add_rows<D, M, N>(dq, ds, keys);
        }
        at = next;
    }
    wait_copies<0>();

    float factor[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) factor[m][0] = factor[m][1] = f.scale;
    store_rows<D, M>(dq, factor, f.dq.at + begin_of(f, f.dq, n), f.dq.row, first + warp * M * 16, f.rows, f.depth);
}

// N: rows of q that a warp takes at a time; the products are transposed, so that a warp's probabilities are the left operand as they are.
template <int D, int M, int WARPS, int N> __device__ __forceinline__ void flash_keys(const Flash& f) {
    constexpr int ROWS = WARPS * M * 16, THREADS = WARPS * 32, STRIDE = D + 8;
    DYNAMIC_SHARED(memory); // k, v, then q, dy and the rows' numbers of two tiles, then kinds
    scalar *k = (scalar*)memory, *v = k + ROWS * STRIDE, *q = v + ROWS * STRIDE, *dy = q + 2 * TILE * STRIDE;
    float* numbers = (float*)(dy + 2 * TILE * STRIDE); // shift, share, delta
    unsigned char* kinds = (unsigned char*)(numbers + 6 * TILE);
    int matrices = f.count / f.each, n0 = blockIdx.x % matrices * f.each, first = blockIdx.x / matrices * ROWS, warp = threadIdx.x / 32, tiles = row_tiles(f), all = tiles * f.each;

    auto load = [&](int stage, int tile) {
        int n = n0 + tile / tiles, row = tile % tiles * TILE;
        load_tile<D, TILE, THREADS>(q + stage * TILE * STRIDE, f.q.at + begin_of(f, f.q, n), f.q.row, row, f.rows, f.depth);
        load_tile<D, TILE, THREADS>(dy + stage * TILE * STRIDE, f.dy.at + begin_of(f, f.dy, n), f.dy.row, row, f.rows, f.width);
        int i = threadIdx.x;
        if (i < 3 * TILE / 4) {
            const float* from = i < TILE / 4 ? f.shift : i < TILE / 2 ? f.share : f.delta;
            copy_async(numbers + stage * 3 * TILE + i * 4, from + (long long)n * tiles * TILE + row + i % (TILE / 4) * 4, true);
        }
    };
    load_tile<D, ROWS, THREADS>(k, f.k.at + begin_of(f, f.k, n0), f.k.row, first, f.columns, f.depth);
    load_tile<D, ROWS, THREADS>(v, f.v.at + begin_of(f, f.v, n0), f.v.row, first, f.columns, f.width);
    for (int t = threadIdx.x; t < all; t += THREADS) {
        int n = n0 + t / tiles, kind = kind_of(f, n, t % tiles, first / TILE, 1, (ROWS + TILE - 1) / TILE);
        kinds[t] = (unsigned char)(kind && f.special[(long long)n * tiles + t % tiles] ? 2 : kind);
    }
    __syncthreads();
    int at = next_tile(kinds, -1, all);
    if (at < all) load(0, at);
    commit_copies();

    float dk[M][D / 8][4], dv[M][D / 8][4];
    clear(dk);
    clear(dv);
    for (int stage = 0; at < all; stage ^= 1) {
        int next = next_tile(kinds, at, all);
        wait_copies<0>();
        __syncthreads();
        if (next < all) load(stage ^ 1, next);
        commit_copies();
        bool plain = kinds[at] == 1;
        int n = n0 + at / tiles;
        for (int part = 0; part < TILE; part += N) {
            const scalar *queries = q + (stage * TILE + part) * STRIDE, *results = dy + (stage * TILE + part) * STRIDE;
            const float* of = numbers + stage * 3 * TILE;
            float p[M][N / 8][4], ds[M][N / 8][4];
            clear(p);
            multiply_rows<D, M, N>(p, k + warp * M * 16 * STRIDE, queries);
            clear(ds);
            multiply_rows<D, M, N>(ds, v + warp * M * 16 * STRIDE, results);
slopes<true, M, N>(f, plain, n, at % tiles * TILE + part, first + warp * M * 16, p, ds, [&](int which, int r, int, int) { return of[which * TILE + r % TILE]; });
            add_rows<D, M, N>(dv, p, results);
            add_rows<D, M, N>(dk, ds, queries);
        }
        at = next;
    }
    wait_copies<0>();

    float factor[M][2];
#pragma unroll
    for (int m = 0; m < M; m++) factor[m][0] = factor[m][1] = f.scale;
    if (f.dk.at) store_rows<D, M>(dk, factor, f.dk.at + begin_of(f, f.dk, n0), f.dk.row, first + warp * M * 16, f.columns, f.depth);
#pragma unroll
    for (int m = 0; m < M; m++) factor[m][0] = factor[m][1] = 1;
    if (f.dv.at) store_rows<D, M>(dv, factor, f.dv.at + begin_of(f, f.dv, n0), f.dv.row, first + warp * M * 16, f.columns, f.width);
}
