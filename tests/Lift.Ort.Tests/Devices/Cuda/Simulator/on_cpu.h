// Lets g++ compile a kernel of this project as part of the simulator's machine code: blocks run one after the other, the threads of a block are
// fibers of the simulator (driver.cpp), so that __syncthreads, shuffles and static __shared__ memory behave. Atomics are plain. It shows no races,
// no bank conflicts and no coalescing.
#pragma once
#include <math.h>
#include <stddef.h>
#include <string.h>

struct SimulatorIndex { unsigned x, y, z; };
extern "C" {
extern SimulatorIndex simulator_grid, simulator_block, simulator_block_index, simulator_thread_index;
extern unsigned char* simulator_shared; // dynamic shared memory of the block, full of 0xff when it starts; behind it lies memory that faults
void simulator_sync();
double simulator_exchange(double value, int other);
}
#define gridDim simulator_grid
#define blockDim simulator_block
#define blockIdx simulator_block_index
#define threadIdx simulator_thread_index
#define __global__
#define __device__
#define __shared__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __syncthreads() simulator_sync()

inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
inline unsigned atomicAdd(unsigned* p, unsigned v) { unsigned old = *p; *p += v; return old; }
inline int atomicExch(int* p, int v) { int old = *p; *p = v; return old; }
inline int atomicMax(int* p, int v) { int old = *p; if (v > old) *p = v; return old; }
inline unsigned atomicMax(unsigned* p, unsigned v) { unsigned old = *p; if (v > old) *p = v; return old; }

// What a warp's threads exchange in tensor_core.cuh. Two buffers in turn: nobody is two exchanges ahead of another.
inline unsigned simulator_turn() {
    static unsigned char turns[1024];
    return turns[threadIdx.x] ^= 1;
}

// Room for the widened fragments of one product per warp, to be filled before the next barrier and read after it.
inline float* simulator_fragments() {
    static float rooms[2][32][384];
    return rooms[simulator_turn()][threadIdx.x / 32];
}

// The addresses that the warp's 32 threads give, of 16 bytes each.
inline const void* const* simulator_addresses(const void* own) {
    static const void* all[2][1024];
    if ((size_t)own % 16) __builtin_trap();
    const void** here = all[simulator_turn()];
    here[threadIdx.x] = own;
    simulator_sync();
    return here + threadIdx.x / 32 * 32;
}

// Asynchronous copies: the target is spoiled at once and right only when its group was waited for, so that reading too early, or writing over what others still read, shows.
struct SimulatorCopies { int copies, groups, ends[64]; void* to[256]; const void* from[256]; int bytes[256]; };
inline SimulatorCopies& simulator_copies() {
    static SimulatorCopies all[1024];
    return all[threadIdx.x];
}
inline void simulator_copy(void* to, const void* from, int bytes) {
    SimulatorCopies& c = simulator_copies();
    if ((size_t)to % 16 || (size_t)from % 16 || c.copies == 256) __builtin_trap();
    memset(to, 0xff, 16);
    c.to[c.copies] = to, c.from[c.copies] = from, c.bytes[c.copies++] = bytes;
}
inline void simulator_commit() {
    SimulatorCopies& c = simulator_copies();
    if (c.groups == 64) __builtin_trap();
    c.ends[c.groups++] = c.copies;
}
inline void simulator_wait(int pending) {
    SimulatorCopies& c = simulator_copies();
    int done = c.groups > pending ? c.ends[c.groups - pending - 1] : 0;
    for (int i = 0; i < done; i++) memset(c.to[i], 0, 16), memcpy(c.to[i], c.from[i], c.bytes[i]);
    for (int i = done; i < c.copies; i++) c.to[i - done] = c.to[i], c.from[i - done] = c.from[i], c.bytes[i - done] = c.bytes[i];
    int gone = c.groups > pending ? c.groups - pending : 0;
    for (int i = gone; i < c.groups; i++) c.ends[i - gone] = c.ends[i] - done;
    c.groups -= gone, c.copies -= done;
}

// A float travels as a double, which holds it exactly. All threads of the block must take part.
inline double __shfl_xor_sync(unsigned, double value, int lane) { return simulator_exchange(value, lane); }
inline float __shfl_xor_sync(unsigned, float value, int lane) { return (float)simulator_exchange(value, lane); }

inline float half_to_float(unsigned short h) {
    unsigned sign = (unsigned)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 0x3ff;
    if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
    if (exponent) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
    float f = ldexpf((float)fraction, -24);
    return sign ? -f : f;
}

inline unsigned short float_to_half(float f) {
    unsigned bits = __float_as_uint(f), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    if (rest > 0x7f800000u) return (unsigned short)(sign | 0x7e00);
    if (rest >= 0x477ff000u) return (unsigned short)(sign | 0x7c00);                    // 65520 and above
    if (rest < 0x38800000u) return (unsigned short)(sign | (unsigned)lrintf(ldexpf(fabsf(f), 24))); // below 2^-14: multiples of 2^-24
    unsigned odd = rest >> 13 & 1;
    return (unsigned short)(sign | (rest - 0x38000000u + 0xfff + odd) >> 13);
}
