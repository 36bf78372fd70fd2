// Moves of elements without arithmetic, by their size in bytes. Specification: ConcatTraining.Cpu.cs, SliceGrad.Cpu.cs
#include "common.cuh"

// rows of `length` elements, from_step and to_step apart
template <class T> __device__ __forceinline__ void copy_rows(const T* from, T* to, long long rows, long long length, long long from_step, long long to_step) {
    for (long long i = first_index(); i < rows * length; i += index_stride()) to[i / length * to_step + i % length] = from[i / length * from_step + i % length];
}
extern "C" __global__ void CopyRows1(const unsigned char* from, unsigned char* to, long long rows, long long length, long long from_step, long long to_step) { copy_rows(from, to, rows, length, from_step, to_step); }
extern "C" __global__ void CopyRows2(const unsigned short* from, unsigned short* to, long long rows, long long length, long long from_step, long long to_step) { copy_rows(from, to, rows, length, from_step, to_step); }
extern "C" __global__ void CopyRows4(const unsigned* from, unsigned* to, long long rows, long long length, long long from_step, long long to_step) { copy_rows(from, to, rows, length, from_step, to_step); }
extern "C" __global__ void CopyRows8(const unsigned long long* from, unsigned long long* to, long long rows, long long length, long long from_step, long long to_step) { copy_rows(from, to, rows, length, from_step, to_step); }

// to[Σ (first + at·step)·stride] = from[at] for every position `at` of dims
template <class T> __device__ __forceinline__ void place_slice(const T* from, T* to, Dims dims, Dims first, Dims step, Dims stride, int rank, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long rest = i, target = 0;
        for (int d = rank - 1; d >= 0; d--) {
            target += (first.at[d] + rest % dims.at[d] * step.at[d]) * stride.at[d];
            rest /= dims.at[d];
        }
        to[target] = from[i];
    }
}
extern "C" __global__ void PlaceSlice2(const unsigned short* from, unsigned short* to, Dims dims, Dims first, Dims step, Dims stride, int rank, long long n) { place_slice(from, to, dims, first, step, stride, rank, n); }
extern "C" __global__ void PlaceSlice4(const unsigned* from, unsigned* to, Dims dims, Dims first, Dims step, Dims stride, int rank, long long n) { place_slice(from, to, dims, first, step, stride, rank, n); }
