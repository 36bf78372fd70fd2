// Moves of elements without arithmetic, by their size in bytes. Specification: ConcatTraining.Cpu.cs, SliceGrad.Cpu.cs, RowPicking.Cpu.cs
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

__device__ __forceinline__ long long index_at(const void* index, int wide, long long i) { return wide ? ((const long long*)index)[i] : ((const int*)index)[i]; }

// to[outer][i] = from[outer][index[i]], rows of `row` elements; an index outside gives zeros.
template <class T> __device__ __forceinline__ void gather_rows(const T* from, T* to, const void* index, int wide, long long count, long long length, long long row, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long place = i / row, at = index_at(index, wide, place % count);
        if (at < 0) at += length;
        to[i] = at >= 0 && at < length ? from[(place / count * length + at) * row + i % row] : (T)0;
    }
}
extern "C" __global__ void GatherRows1(const unsigned char* from, unsigned char* to, const void* index, int wide, long long count, long long length, long long row, long long n) { gather_rows(from, to, index, wide, count, length, row, n); }
extern "C" __global__ void GatherRows2(const unsigned short* from, unsigned short* to, const void* index, int wide, long long count, long long length, long long row, long long n) { gather_rows(from, to, index, wide, count, length, row, n); }
extern "C" __global__ void GatherRows4(const unsigned* from, unsigned* to, const void* index, int wide, long long count, long long length, long long row, long long n) { gather_rows(from, to, index, wide, count, length, row, n); }
extern "C" __global__ void GatherRows8(const unsigned long long* from, unsigned long long* to, const void* index, int wide, long long count, long long length, long long row, long long n) { gather_rows(from, to, index, wide, count, length, row, n); }

// latest[row] = 1 + the last place whose index is the row; it must be 0 before.
extern "C" __global__ void LatestOfRows(const long long* index, int* latest, long long count, long long rows) {
    for (long long i = first_index(); i < count; i += index_stride()) {
        long long at = index[i] < 0 ? index[i] + rows : index[i];
        if (at >= 0 && at < rows) atomicMax(latest + at, (int)i + 1);
    }
}

// to[r] = from[latest[r] - 1], or zeros where no place has the row.
template <class T> __device__ __forceinline__ void place_rows(const T* from, T* to, const int* latest, long long row, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        int at = latest[i / row];
        to[i] = at ? from[(at - 1) * row + i % row] : (T)0;
    }
}
extern "C" __global__ void PlaceRows2(const unsigned short* from, unsigned short* to, const int* latest, long long row, long long n) { place_rows(from, to, latest, row, n); }
extern "C" __global__ void PlaceRows4(const unsigned* from, unsigned* to, const int* latest, long long row, long long n) { place_rows(from, to, latest, row, n); }
extern "C" __global__ void PlaceRows8(const unsigned long long* from, unsigned long long* to, const int* latest, long long row, long long n) { place_rows(from, to, latest, row, n); }

// target[i] = the row that tuple i of `depth` indices names, counted over the batches and the axes of dims; one past the last where an index is outside.
extern "C" __global__ void FlattenTuples(const void* index, int wide, long long* target, Dims dims, int depth, long long per_batch, long long tuples) {
    for (long long i = first_index(); i < tuples; i += index_stride()) {
        long long at = i / per_batch;
        bool inside = true;
        for (int d = 0; d < depth; d++) {
            long long k = index_at(index, wide, i * depth + d);
            if (k < 0) k += dims.at[d];
            inside &= k >= 0 && k < dims.at[d];
            at = at * dims.at[d] + k;
        }
        target[i] = inside ? at : 0x7fffffffffffffffLL;
    }
}
