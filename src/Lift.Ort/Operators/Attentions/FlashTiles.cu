// What the kernels of Flash64.cu and Flash128.cu want to know beforehand: how far scores reach, which tiles the masks leave, and the rows' numbers for the backward pass. 16-bit scalars only
#include "flash.cuh"

struct alignas(16) Eight { scalar at[8]; };

__device__ __forceinline__ const Eight* eight_of(const Flash& f, const Part& x, int n, int row, int chunk) { return (const Eight*)(x.at + begin_of(f, x, n) + row * x.row) + chunk; }

__device__ __forceinline__ float number_at(const Flash& f, const Over& m, int n, int row, int column) { return ((const float*)m.at)[begin_of(f, m, n) + row * m.row + column * m.column]; }

__device__ __forceinline__ bool kept(const Flash& f, int n, int row, int column) {
    return !f.keep.at || ((const unsigned char*)f.keep.at)[begin_of(f, f.keep, n) + row * f.keep.row + column * f.keep.column];
}

// A score: `s` is what q and k make of it; 0 gives what biases and masks add.
__device__ __forceinline__ float score(const Flash& f, int n, int row, int column, float s) {
    if (f.bias.at) s += number_at(f, f.bias, n, row, column);
    if (!kept(f, n, row, column)) s = f.fill;
    if (f.mask.at) s += number_at(f, f.mask, n, row, column);
    return s < f.floor ? f.floor : s;
}

// reach[n] = the largest |row|² of the n-th matrix of q, and behind those of q the same for k. One block per matrix.
extern "C" __global__ void FlashReach(Flash f, float* reach) {
    bool keys = blockIdx.x >= f.count;
    int n = keys ? (blockIdx.x - f.count) * f.each : blockIdx.x, chunk = threadIdx.x % 16, rows = keys ? f.columns : f.rows;
    float largest = 0;
    for (int row = threadIdx.x / 16; row - (int)threadIdx.x / 16 < rows; row += BLOCK / 16) {
        float sum = 0;
        if (row < rows && chunk * 8 < f.depth) {
            Eight x = *eight_of(f, keys ? f.k : f.q, n, row, chunk);
            for (int i = 0; i < 8; i++) sum += widen(x.at[i]) * widen(x.at[i]);
        }
        for (int distance = 8; distance > 0; distance /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, distance);
        largest = !(sum <= largest) ? sum : largest; // a NaN stays
    }
    __shared__ float most[BLOCK];
    most[threadIdx.x] = largest;
    __syncthreads();
    for (unsigned i = 0; i < BLOCK; i++) largest = !(most[i] <= largest) ? most[i] : largest;
    if (threadIdx.x == 0) reach[blockIdx.x] = largest;
}

// tops[m][row] = the largest addition of a row. m goes over what differs between matrices of q; matrix m · step is one of those that it serves. One warp per row.
extern "C" __global__ void FlashTops(Flash f, float* tops, int step, int rows) {
    int lane = threadIdx.x % 32;
    long long at = (long long)blockIdx.x * (BLOCK / 32) + threadIdx.x / 32;
    if (at / rows * step >= f.count) return;
    int n = (int)(at / rows) * step, row = (int)(at % rows);
    float top = negative_infinity();
    for (int j = lane; j < f.columns; j += 8 * 32) {
        float a[8]; // eight loads under way at a time
#pragma unroll
        for (int i = 0; i < 8; i++) a[i] = j + i * 32 < f.columns ? score(f, n, row, j + i * 32, 0) : negative_infinity();
#pragma unroll
        for (int i = 0; i < 8; i++) top = top == top && !(a[i] <= top) ? a[i] : top; // a NaN stays
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, top, distance);
        top = top == top && !(other <= top) ? other : top;
    }
    if (lane == 0) tops[at] = top;
}

// map[m][row tile][column tile]: 1 where biases and masks add 0 to every score; else how far the largest addition in the tile is below the largest of its row, at most 0 (−∞ where a row
// has nothing else and the guard makes it 0; 0 where it has nothing and gives NaN). One warp per tile; `rows`: those that differ.
extern "C" __global__ void FlashMap(Flash f, const float* tops, float* map, int step, int rows) {
    int lane = threadIdx.x % 32, tiles = column_tiles(f);
    long long at = (long long)blockIdx.x * (BLOCK / 32) + threadIdx.x / 32, m = at / tiles / f.map_rows;
    if (m * step >= f.count) return;
    int n = (int)m * step, first = (int)(at / tiles % f.map_rows) * TILE, column = (int)(at % tiles) * TILE;
    float most = negative_infinity(), other = 0;
    for (int r = first; r < first + TILE && r < rows; r += 4) {
        float a[8]; // of four rows, two columns a thread
#pragma unroll
        for (int i = 0; i < 8; i++) {
            int row = r + i / 2, j = column + lane + i % 2 * 32;
            a[i] = row < rows && j < f.columns ? score(f, n, row, j, 0) : 0;
        }
#pragma unroll
        for (int i = 0; i < 8; i++) {
            int row = r + i / 2, j = column + lane + i % 2 * 32;
            if (row >= rows || j >= f.columns) continue;
            float top = tops[m * rows + row], below = top == negative_infinity() ? f.guard ? top : 0 : a[i] - top;
            if (!(a[i] == 0)) other = 1;
            if (!(below <= most)) most = below == below ? below : 0;
        }
    }
    for (int distance = 16; distance > 0; distance /= 2) {
        most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, distance));
        other = fmaxf(other, __shfl_xor_sync(0xffffffffu, other, distance));
    }
    if (lane == 0) map[at] = other == 0 ? 1 : most;
}

// Each row's shift, share and delta. A row whose dy is 0 gets p = 0, which changes nothing; where the logarithm of the sum is lost in a large lse, largest score and sum are made anew.
// One block per matrix and row tile, four threads a row.
extern "C" __global__ void FlashPrepare(Flash f) {
    int tiles = row_tiles(f), n = blockIdx.x / tiles, tile = blockIdx.x % tiles, r = threadIdx.x / 4, part = threadIdx.x % 4, row = tile * TILE + r;
    long long at = ((long long)n * tiles + tile) * TILE;
    __shared__ unsigned char slow[TILE];
    float dot = 0, any = 0;
    for (int chunk = part; row < f.rows && chunk * 8 < f.width; chunk += 4) {
        Eight y = *eight_of(f, f.y, n, row, chunk), dy = *eight_of(f, f.dy, n, row, chunk);
        for (int i = 0; i < 8; i++) {
            dot += widen(y.at[i]) * widen(dy.at[i]);
            if (dy.at[i].bits & 0x7fff) any = 1;
        }
    }
    for (int distance = 2; distance > 0; distance /= 2) {
        dot += __shfl_xor_sync(0xffffffffu, dot, distance);
        any = fmaxf(any, __shfl_xor_sync(0xffffffffu, any, distance));
    }
    if (part == 0) {
        float lse = row < f.rows ? f.lse[(long long)n * f.rows + row] : 0, infinity = -negative_infinity();
        bool nothing = row >= f.rows || (any == 0 && lse == lse);
        slow[r] = !nothing && (lse >= 1e4f || lse <= -1e4f) && lse < infinity;
        f.shift[at + r] = nothing ? infinity : lse;
        f.share[at + r] = nothing ? 0 : 1;
        f.delta[at + r] = nothing ? 0 : dot;
    }
    __syncthreads();
    int special = 0;
    for (int i = 0; i < TILE; i++) {
        if (!slow[i]) continue;
        special = 1;
        const scalar *q = f.q.at + begin_of(f, f.q, n) + (tile * TILE + i) * f.q.row, *k = f.k.at + begin_of(f, f.k, n);
        float most = negative_infinity(), sum = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int j = threadIdx.x; j < f.columns; j += BLOCK) {
                float raw = 0;
                for (int p = 0; p < f.depth; p++) raw += widen(q[p]) * widen(k[j * f.k.row + p]);
                float s = score(f, n, tile * TILE + i, j, f.cap > 0 ? f.cap * capped(f, raw) : f.scale * raw);
                if (pass == 0) most = larger(most, s);
                else sum += exp2_fast((s - most) * LOG2E);
            }
            if (pass == 0) most = block_max(most);
            else sum = block_sum(sum);
        }
        if (threadIdx.x == 0) f.shift[at + i] = most, f.share[at + i] = 1 / sum;
    }
    if (threadIdx.x == 0) f.special[(long long)n * tiles + tile] = (unsigned char)special;
}
