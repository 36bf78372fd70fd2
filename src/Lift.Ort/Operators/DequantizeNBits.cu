// y = (q − zero) · scale for numbers q of 2, 4 or 8 bits, packed from the lowest bits up. Specification: DequantizeNBits.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ float unpacked(const unsigned char* packed, int bits, long long i) {
    int per = 8 / bits;
    return (float)(packed[i / per] >> (int)(i % per) * bits & (1 << bits) - 1);
}

// scales, zeros: how far apart a parameter's numbers lie for the next row, block and entry; 0 where one number serves all. size: entries of a block; n: of all. Blocks lie one behind the other, so that entry i of y is number i of the packed ones.
extern "C" __global__ void DequantizeNBits(const unsigned char* packed, const scalar* scale, Dims scales, const scalar* zero, Dims zeros, scalar* y, long long blocks, long long size, int bits, long long n) {
    if (size % 4 == 0 && scales.at[2] == 0 && zeros.at[2] == 0) {
        for (long long i = 4 * first_index(); i < n; i += 4 * index_stride()) {
            long long block = i / size % blocks, row = i / size / blocks;
            float s = widen(scale[row * scales.at[0] + block * scales.at[1]]), z = widen(zero[row * zeros.at[0] + block * zeros.at[1]]);
            Floats v;
            for (int k = 0; k < 4; k++) v.at[k] = (unpacked(packed, bits, i + k) - z) * s;
            store4(y + i, v);
        }
        return;
    }
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long entry = i % size, block = i / size % blocks, row = i / size / blocks;
        float s = widen(scale[row * scales.at[0] + block * scales.at[1] + entry * scales.at[2]]), z = widen(zero[row * zeros.at[0] + block * zeros.at[1] + entry * zeros.at[2]]);
        narrow((unpacked(packed, bits, i) - z) * s, y + i);
    }
}
