// Gradients of pools; every element of dx is the sum that one thread makes, in the order of the places. Specification: PoolGrads.Cpu.cs
#include "window.cuh"

// The places that have an element as their maximum, as a list: latest[element] is one of them + 1, next[place] another + 1, 0 the end. latest must be 0 before.
extern "C" __global__ void LinkMaxima(const long long* index, int* latest, int* next, long long places, long long n) {
    for (long long i = first_index(); i < places; i += index_stride())
        if (index[i] >= 0 && index[i] < n) next[i] = atomicExch(latest + index[i], (int)i + 1);
}

// The lists' order is chance, the sums' is not: each turn takes the first place after the last one. Lists are as long as windows overlap.
extern "C" __global__ void SumMaxima(const scalar* dy, const int* latest, const int* next, scalar* dx, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        float sum = 0;
        for (int last = 0;;) {
            int first = 0;
            for (int at = latest[i]; at; at = next[at - 1])
                if (at > last && (!first || at < first)) first = at;
            if (!first) break;
            sum += widen(dy[first - 1]);
            last = first;
        }
        narrow(sum, dx + i);
    }
}

// share[place] = 1 / the image elements under the window there, or 1 / all elements of the window.
extern "C" __global__ void PoolShares(float* share, Window w, int all) {
    for (int i = (int)first_index(); i < w.places; i += (int)index_stride()) {
        int count = 1;
        unsigned place = i;
        for (int d = w.axes - 1; d >= 0; d--) {
            int from = (int)(place % w.output[d]) * w.stride[d] - w.before[d], here = 0;
            for (int k = 0; k < w.kernel[d]; k++) here += from + k * w.dilation[d] >= 0 && from + k * w.dilation[d] < w.size[d];
            count *= here;
            place /= w.output[d];
        }
        share[i] = 1.f / (all ? w.window : count);
    }
}

// dx[channel][element] = Σ dy · share over the places that see the element; n = channels of all images times w.image.
extern "C" __global__ void SpreadShares(const scalar* dy, const float* share, scalar* dx, Window w, long long n) {
    for (long long i = first_index(); i < n; i += index_stride()) {
        long long plane = i / w.image * w.places;
        unsigned element = i % w.image;
        float sum = 0;
        for (int k = 0; k < w.window; k++) {
            int place = place_of(w, element, k);
            if (place >= 0) sum += widen(dy[plane + place]) * share[place];
        }
        narrow(sum, dx + i);
    }
}
