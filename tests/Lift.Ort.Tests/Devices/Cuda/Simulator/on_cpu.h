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
#define __syncthreads() simulator_sync()

inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
inline unsigned atomicAdd(unsigned* p, unsigned v) { unsigned old = *p; *p += v; return old; }
inline int atomicExch(int* p, int v) { int old = *p; *p = v; return old; }
inline int atomicMax(int* p, int v) { int old = *p; if (v > old) *p = v; return old; }
inline unsigned atomicMax(unsigned* p, unsigned v) { unsigned old = *p; if (v > old) *p = v; return old; }

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
