// Gradients of gathers, the same in every run: no two threads add to one element, and sums keep the order of the indices. Compiled for the type of dy.
// Specification: GatherGrad.Cpu.cs
#include "common.cuh"

__device__ __forceinline__ long long row_at(const void* index, int wide, long long i, long long length) {
    long long row = wide ? ((const long long*)index)[i] : ((const int*)index)[i];
    return row < 0 ? row + length : row;
}

// next[i] = the next place with the index of place i, or -1; first[i] = 1 where no earlier place has it. An index outside gives -1 and 0.
extern "C" __global__ void LinkEqual(const void* index, int wide, long long count, long long length, int* next, unsigned char* first) {
    for (long long i = first_index(); i < count; i += index_stride()) {
        long long row = row_at(index, wide, i, length);
        bool inside = row >= 0 && row < length, is_first = inside;
        for (long long j = 0; is_first && j < i; j++) is_first = row_at(index, wide, j, length) != row;
        long long after = i + 1;
        while (inside && after < count && row_at(index, wide, after, length) != row) after++;
        next[i] = inside && after < count ? (int)after : -1;
        first[i] = is_first;
    }
}

// One block per (outer, first place of an index): dx[row] = the sum of the dy of all its places. dx must be cleared before.
extern "C" __global__ void SumEqual(const scalar* dy, const void* index, int wide, const int* next, const unsigned char* first, long long count, long long length, long long inner, scalar* dx) {
    long long outer = blockIdx.x / count, i = blockIdx.x % count;
    if (!first[i]) return;
    long long row = row_at(index, wide, i, length);
    for (long long c = threadIdx.x; c < inner; c += BLOCK) {
        float sum = 0;
        for (long long j = i; j >= 0; j = next[j]) sum += widen(dy[(outer * count + j) * inner + c]);
        narrow(sum, dx + (outer * length + row) * inner + c);
    }
}

// GatherElements: one thread per position outside the axis walks along it. dims: those of dx; from: those of dy and the indices; dx must be cleared before.
extern "C" __global__ void AddElements(const scalar* dy, const void* index, int wide, Dims dims, Dims from, int rank, int axis, long long lines, scalar* dx) {
    for (long long line = first_index(); line < lines; line += index_stride()) {
        long long rest = line, source = 0, target = 0, source_step = 1, target_step = 1, source_axis = 1, target_axis = 1;
        for (int d = rank - 1; d >= 0; d--) {
            if (d == axis) source_axis = source_step, target_axis = target_step;
            else {
                long long at = rest % from.at[d];
                rest /= from.at[d];
                source += at * source_step, target += at * target_step;
            }
            source_step *= from.at[d], target_step *= dims.at[d];
        }
        for (long long i = 0; i < from.at[axis]; i++) {
            long long row = row_at(index, wide, source + i * source_axis, dims.at[axis]);
            if (row < 0 || row >= dims.at[axis]) continue;
            scalar* to = dx + target + row * target_axis;
            narrow(widen(*to) + widen(dy[source + i * source_axis]), to);
        }
    }
}
