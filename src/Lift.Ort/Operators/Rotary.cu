// Rotary embedding of rows of 2·half elements; row r takes line r % times of the tables. y may be x. Specification: Rotary.Cpu.cs
#include "common.cuh"

extern "C" __global__ void Rotary(const scalar* x, const scalar* cosine, const scalar* sine, scalar* y, long long half, long long times, int backward, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long row = i / half, k = i % half, at = row * 2 * half + k, line = row % times * 2 * half + k;
        float a = widen(x[at]), b = widen(x[at + half]), c1 = widen(cosine[line]), c2 = widen(cosine[line + half]), s1 = widen(sine[line]), s2 = widen(sine[line + half]);
        narrow(backward ? a * c1 + b * s2 : a * c1 - b * s1, y + at);
        narrow(backward ? b * c2 - a * s1 : b * c2 + a * s2, y + at + half);
    }
}
