// Positions of the k best scores, ascending, ties by lowest position. A score's bits become a key that is larger the better the score; the k-th best
// key is found by counting 12, 10 and 10 of its bits, all on the device; then counts per chunk, their running sums, and the positions.
// Specification: TopMagnitude.Cpu.cs
#include "common.cuh"

#define CHUNK 4096      /* scores of a block when counting and writing: 256 threads of 16 */
#define PER_THREAD 16

struct State {
    unsigned prefix;    // the bits of the threshold that are known
    unsigned left;      // how many of the k lie among keys that share the prefix; at the end: how many ties are taken
};

__device__ __forceinline__ unsigned key(float score, int order) {
    unsigned bits = __float_as_uint(score);
    return order == 0 ? bits << 1 : order == 1 ? ~(bits << 1) : bits ^ ((unsigned)((int)bits >> 31) | 0x80000000u);
}

// Running sums over the block, each thread's own value included, through `sums` (one place a thread).
__device__ __forceinline__ unsigned running_sum(unsigned mine, unsigned* sums) {
    sums[threadIdx.x] = mine;
    __syncthreads();
    for (int distance = 1; distance < (int)blockDim.x; distance *= 2) {
        unsigned before = (int)threadIdx.x >= distance ? sums[threadIdx.x - distance] : 0;
        __syncthreads();
        sums[threadIdx.x] += before;
        __syncthreads();
    }
    return sums[threadIdx.x];
}

extern "C" __global__ void Begin(State* state, unsigned k, unsigned* bin) {
    if (threadIdx.x == 0) state->prefix = 0, state->left = k;
    for (int i = threadIdx.x; i < 4096; i += blockDim.x) bin[i] = 0;
}

// pass 0: the upper 12 bits of all keys; pass 1: the next 10 of keys with the prefix; pass 2: the last 10.
extern "C" __global__ void Histogram(const float* score, long long n, int order, int pass, const State* state, unsigned* bin) {
    __shared__ unsigned local[4096];
    for (int i = threadIdx.x; i < 4096; i += blockDim.x) local[i] = 0;
    __syncthreads();
    unsigned prefix = state->prefix;
    for (long long i = first_index(); i < n; i += index_stride()) {
        unsigned u = key(score[i], order);
        if (pass == 0) atomicAdd(&local[u >> 20], 1u);
        else if (pass == 1 && u >> 20 == prefix) atomicAdd(&local[u >> 10 & 1023u], 1u);
        else if (pass == 2 && u >> 10 == prefix) atomicAdd(&local[u & 1023u], 1u);
    }
    __syncthreads();
    for (int i = threadIdx.x; i < 4096; i += blockDim.x)
        if (local[i]) atomicAdd(&bin[i], local[i]);
}

// One block of 256 threads: the bin in which the best `left` end; counted from the last bin down. Clears the bins.
extern "C" __global__ void PickBin(State* state, unsigned* bin, int pass) {
    __shared__ unsigned sums[256];
    unsigned mine = 0, left = state->left, prefix = state->prefix;
    int first = 4095 - 16 * (int)threadIdx.x;
    for (int i = 0; i < 16; i++) mine += bin[first - i];
    unsigned sum = running_sum(mine, sums), better = sum - mine;
    if (better < left && left <= sum) {
        int b = first;
        for (; better + bin[b] < left; b--) better += bin[b];
        state->prefix = pass == 0 ? (unsigned)b : prefix << 10 | (unsigned)b;
        state->left = left - better;
    }
    __syncthreads();
    for (int i = 0; i < 16; i++) bin[first - i] = 0;
}

// A thread's 16 scores: how many lie above the threshold in the low half, how many on it in the high half.
__device__ __forceinline__ unsigned count_mine(const float* score, long long n, int order, unsigned threshold) {
    long long start = (long long)blockIdx.x * CHUNK + threadIdx.x * PER_THREAD;
    unsigned result = 0;
    for (int i = 0; i < PER_THREAD; i++)
        if (start + i < n) {
            unsigned u = key(score[start + i], order);
            result += u > threshold ? 1u : u == threshold ? 0x10000u : 0u;
        }
    return result;
}

extern "C" __global__ void CountChunks(const float* score, long long n, int order, const State* state, unsigned* above, unsigned* equal) {
    __shared__ unsigned total;
    if (threadIdx.x == 0) total = 0;
    __syncthreads();
    atomicAdd(&total, count_mine(score, n, order, state->prefix));
    __syncthreads();
    if (threadIdx.x == 0) above[blockIdx.x] = total & 0xffffu, equal[blockIdx.x] = total >> 16;
}

// Running sums before each chunk of both counts, in place: one block of 1024 threads, each with a run of chunks.
extern "C" __global__ void ScanChunks(unsigned* above, unsigned* equal, int count) {
    __shared__ unsigned sums[1024];
    int run = (count + 1023) / 1024, start = threadIdx.x * run, end = start + run < count ? start + run : count;
    for (int which = 0; which < 2; which++) {
        unsigned* values = which ? equal : above;
        unsigned sum = 0;
        for (int i = start; i < end; i++) sum += values[i];
        unsigned before = running_sum(sum, sums) - sum;
        for (int i = start; i < end; i++) { unsigned value = values[i]; values[i] = before; before += value; }
        __syncthreads();
    }
}

// Writes the positions: all above the threshold, and the first of those on it.
extern "C" __global__ void EmitPositions(const float* score, long long n, int order, const State* state, const unsigned* above, const unsigned* equal, int* position) {
    __shared__ unsigned sums[256];
    unsigned threshold = state->prefix, ties = state->left, mine = count_mine(score, n, order, threshold);
    unsigned before = running_sum(mine, sums) - mine;
    unsigned greater = above[blockIdx.x] + (before & 0xffffu), same = equal[blockIdx.x] + (before >> 16);
    long long start = (long long)blockIdx.x * CHUNK + threadIdx.x * PER_THREAD;
    for (int i = 0; i < PER_THREAD; i++)
        if (start + i < n) {
            unsigned u = key(score[start + i], order);
            if (u > threshold || (u == threshold && same < ties)) position[greater + (same < ties ? same : ties)] = (int)(start + i);
            if (u > threshold) greater++;
            if (u == threshold) same++;
        }
}
