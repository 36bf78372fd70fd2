// Entries of weights and of the compact vector. Specification: Entries.Cpu.cs, GatherEntries.Cpu.cs
#include "common.cuh"
#include "Segments.cuh"

extern "C" __global__ void ReadMasters(const Segment* segments, const Part* parts, float* master) {
    Segment s = segments[parts[blockIdx.x].segment];
    if (s.master < 0) return;
    long long from = (long long)parts[blockIdx.x].number * PER_BLOCK;
    for (long long i = from + threadIdx.x; i < from + PER_BLOCK && i < s.length; i += BLOCK)
        master[s.master + i] = read_weight(s, s.position ? s.position[i] : i);
}

// One thread per entry of the new mask looks its position up in the old one.
extern "C" __global__ void CarryMoments(const Segment* segments, const Part* parts, const Segment* old_segments, float* first, float* second, float* master,
                                        const float* old_first, const float* old_second, const float* old_master) {
    Segment s = segments[parts[blockIdx.x].segment], old = old_segments[parts[blockIdx.x].segment];
    long long from = (long long)parts[blockIdx.x].number * PER_BLOCK;
    for (long long i = from + threadIdx.x; i < from + PER_BLOCK && i < s.length; i += BLOCK) {
        long long at = s.position ? s.position[i] : i, low = 0, high = old.length;
        if (!old.position) low = at;
        else
            while (low < high) {
                long long middle = (low + high) / 2;
                if (old.position[middle] < at) low = middle + 1; else high = middle;
            }
        if (low >= old.length || (old.position && old.position[low] != at)) continue;
        first[s.offset + i] = old_first[old.offset + low];
        second[s.offset + i] = old_second[old.offset + low];
        if (s.master >= 0) master[s.master + i] = old_master[old.master + low];
    }
}

extern "C" __global__ void CopyEntries2(unsigned short* weight, const int* position, unsigned short* entry, int out, long long n) {
    for (long long i = first_index(); i < n; i += index_stride())
        if (out) entry[i] = weight[position[i]]; else weight[position[i]] = entry[i];
}

extern "C" __global__ void CopyEntries4(unsigned* weight, const int* position, unsigned* entry, int out, long long n) {
    for (long long i = first_index(); i < n; i += index_stride())
        if (out) entry[i] = weight[position[i]]; else weight[position[i]] = entry[i];
}

// compact[s.offset + i] = dense[start of the weight + position i]
extern "C" __global__ void GatherEntries(const Segment* segments, const Part* parts, const long long* start, const float* dense, float* compact) {
    int number = parts[blockIdx.x].segment;
    Segment s = segments[number];
    long long from = (long long)parts[blockIdx.x].number * PER_BLOCK;
    for (long long i = from + threadIdx.x; i < from + PER_BLOCK && i < s.length; i += BLOCK)
        compact[s.offset + i] = dense[start[number] + (s.position ? s.position[i] : i)];
}
