// The forward pass: a block takes some rows of q and goes over the tiles of k and v that the masks leave, with the softmax made as it goes.
#pragma once
#include "flash.cuh"

// D: columns of the tiles, at least those of q, k and v; each of WARPS warps takes M · 16 rows. One block per matrix and WARPS · M · 16 rows, the last rows first: under a causal
// mask they have most to do.
template <int D, int M, int WARPS> __device__ __forceinline__ void flash_forward(const Flash& f) {
    constexpr int ROWS = WARPS * M * 16, THREADS = WARPS * 32, STRIDE = D + 8;
    DYNAMIC_SHARED(memory); // q, then k and v of two tiles, then kinds
    scalar *q = (scalar*)memory, *k = q + ROWS * STRIDE, *v = k + 2 * TILE * STRIDE;
    unsigned char* kinds = (unsigned char*)(v + 2 * TILE * STRIDE);
    int n = blockIdx.x % f.count, first = ((f.rows + ROWS - 1) / ROWS - 1 - blockIdx.x / f.count) * ROWS, warp = threadIdx.x / 32, lane = threadIdx.x % 32, tiles = column_tiles(f);
    const scalar *from_k = f.k.at + begin_of(f, f.k, n), *from_v = f.v.at + begin_of(f, f.v, n);

    load_tile<D, ROWS, THREADS>(q, f.q.at + begin_of(f, f.q, n), f.q.row, first, f.rows, f.depth);
    for (int c = threadIdx.x; c < tiles; c += THREADS) kinds[c] = (unsigned char)kind_of(f, n, first / TILE, c, (ROWS + TILE - 1) / TILE, 1);
    __syncthreads();
    int at = next_tile(kinds, -1, tiles);
    if (at < tiles) {
        load_tile<D, TILE, THREADS>(k, from_k, f.k.row, at * TILE, f.columns, f.depth);
        load_tile<D, TILE, THREADS>(v, from_v, f.v.row, at * TILE, f.columns, f.width);
    }
    commit_copies();

    float y[M][D / 8][4], most[M][2], sum[M][2]; // of rows lane / 4 and lane / 4 + 8 of each 16; sums of this thread's columns
    clear(y);
#pragma unroll
    for (int m = 0; m < M; m++) most[m][0] = most[m][1] = negative_infinity(), sum[m][0] = sum[m][1] = 0;

    for (int stage = 0; at < tiles; stage ^= 1) {
        int next = next_tile(kinds, at, tiles);
        wait_copies<0>();
        __syncthreads(); // this tile is there, and nobody reads the one before any more
        if (next < tiles) {
            load_tile<D, TILE, THREADS>(k + (stage ^ 1) * TILE * STRIDE, from_k, f.k.row, next * TILE, f.columns, f.depth);
            load_tile<D, TILE, THREADS>(v + (stage ^ 1) * TILE * STRIDE, from_v, f.v.row, next * TILE, f.columns, f.width);
        }
        commit_copies();
        float s[M][TILE / 8][4];
        clear(s);
        multiply_rows<D, M, TILE>(s, q + warp * M * 16 * STRIDE, k + stage * TILE * STRIDE);
        bool plain = kinds[at] == 1;
        if (!plain) finish_scores<false, false, M, TILE>(f, n, first + warp * M * 16, at * TILE, s, s);
#pragma unroll
        for (int m = 0; m < M; m++)
#pragma unroll
            for (int h = 0; h < 2; h++) {
                float before = most[m][h], largest = negative_infinity();
#pragma unroll
                for (int j = 0; j < TILE / 4; j++) largest = fmaxf(largest, s[m][j / 2][2 * h + j % 2]);
                if (plain) largest *= f.scale;
                largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
                largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
                float now = fmaxf(before, largest), base = now == negative_infinity() ? 0 : now; // where all is −∞ yet, exp(−∞ − 0) is 0
                float kept = exp2_fast((before - base) * LOG2E), by = plain ? f.scale * LOG2E : LOG2E, shift = plain ? base * LOG2E : base;
                most[m][h] = now;
                float more = 0;
#pragma unroll
                for (int j = 0; j < TILE / 4; j++) {
                    float& x = s[m][j / 2][2 * h + j % 2];
                    x = exp2_fast(plain ? fmaf(x, by, -shift) : (x - shift) * by); // numbers such as −3e38 must not be scaled before the difference
                    more += x;
                }
                sum[m][h] = sum[m][h] * kept + more;
#pragma unroll
                for (int j = 0; j < D / 4; j++) y[m][j / 2][2 * h + j % 2] *= kept;
            }
        add_rows<D, M, TILE>(y, s, v + stage * TILE * STRIDE);
        at = next;
    }
    wait_copies<0>();

    float share[M][2];
#pragma unroll
    for (int m = 0; m < M; m++)
#pragma unroll
        for (int h = 0; h < 2; h++) {
            float total = sum[m][h];
            total += __shfl_xor_sync(0xffffffffu, total, 1);
            total += __shfl_xor_sync(0xffffffffu, total, 2);
            bool nothing = total == 0;
            share[m][h] = !nothing ? 1 / total : f.guard ? 0 : not_a_number();
            int row = first + (warp * M + m) * 16 + h * 8 + lane / 4;
            if (f.lse && lane % 4 == 0 && row < f.rows) f.lse[(long long)n * f.rows + row] = !nothing ? most[m][h] + logf(total) : f.guard ? -negative_infinity() : not_a_number();
        }
    store_rows<D, M>(y, share, f.y.at + begin_of(f, f.y, n), f.y.row, first + warp * M * 16, f.rows, f.width);
}
