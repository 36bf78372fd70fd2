// Gradients of convolutions around cuBLAS products: patches as columns [channels · window, images · places], and back. Sums are float32, each made by one thread or one
// block in a fixed order. Specification: Patches.cs, ConvGrad.Cpu.cs, ConvTransposeGrad.Cpu.cs
#include "window.cuh"

// columns[channel · window + k][image · places + place] = the element there, 0 in the padding. A block fills 4 · BLOCK columns of one row.
extern "C" __global__ void GatherPatches(const scalar* x, scalar* columns, Window w, long long channels, int images) {
    unsigned wide = (unsigned)images * w.places, tiles = (wide + 4 * BLOCK - 1) / (4 * BLOCK), k = blockIdx.x / tiles % w.window, first = blockIdx.x % tiles * 4 * BLOCK + threadIdx.x;
    long long channel = blockIdx.x / tiles / w.window;
    columns += (channel * w.window + k) * wide;
    for (unsigned q = first; q < first + 4 * BLOCK && q < wide; q += BLOCK) {
        int at = under(w, q % w.places, k);
        if (at < 0) narrow(0.f, columns + q);
        else columns[q] = x[(q / w.places * channels + channel) * w.image + at];
    }
}

// dx[image][channel][element] = Σ columns over the places that see the element.
extern "C" __global__ void ScatterPatches(const float* columns, scalar* dx, Window w, long long channels, int images) {
    long long wide = (long long)images * w.places, n = images * channels * w.image;
    for (long long i = first_index(); i < n; i += index_stride()) {
        unsigned element = i % w.image;
        long long row = i / w.image, channel = row % channels, image = row / channels;
        float sum = 0;
        for (int k = 0; k < w.window; k++) {
            int place = place_of(w, element, k);
            if (place >= 0) sum += columns[(channel * w.window + k) * wide + image * w.places + place];
        }
        narrow(sum, dx + i);
    }
}

// to[b][a][i] = from[a][b][i]
extern "C" __global__ void SwapLeading(const scalar* from, scalar* to, long long a, long long b, long long inner) {
    for (long long i = first_index(); i < a * b * inner; i += index_stride()) {
        long long row = i / inner;
        to[i] = from[(row % a * b + row / a) * inner + i % inner];
    }
}
extern "C" __global__ void SwapNarrow(const float* from, scalar* to, long long a, long long b, long long inner) {
    for (long long i = first_index(); i < a * b * inner; i += index_stride()) {
        long long row = i / inner;
        narrow(from[(row % a * b + row / a) * inner + i % inner], to + i);
    }
}

// One block per channel: Σ over images and places.
extern "C" __global__ void ChannelSums(const scalar* x, scalar* sums, long long images, long long channels, long long places) {
    float sum = 0;
    for (long long i = threadIdx.x; i < images * places; i += BLOCK) sum += widen(x[(i / places * channels + blockIdx.x) * places + i % places]);
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow(sum, sums + blockIdx.x);
}

// One channel a group: every image element sums over the group's filters and the places that see it.
extern "C" __global__ void DepthwiseImage(const scalar* dy, const scalar* weight, scalar* dx, Window w, long long groups, int filters, long long images) {
    for (long long i = first_index(); i < images * groups * w.image; i += index_stride()) {
        unsigned element = i % w.image;
        long long row = i / w.image * filters, filter = i / w.image % groups * filters;
        float sum = 0;
        for (int k = 0; k < w.window; k++) {
            int place = place_of(w, element, k);
            if (place < 0) continue;
            for (int f = 0; f < filters; f++) sum += widen(weight[(filter + f) * w.window + k]) * widen(dy[(row + f) * w.places + place]);
        }
        narrow(sum, dx + i);
    }
}

// One block per filter and kernel element.
extern "C" __global__ void DepthwiseWeight(const scalar* dy, const scalar* x, scalar* dw, Window w, long long groups, int filters, long long images) {
    unsigned k = blockIdx.x % w.window;
    long long filter = blockIdx.x / w.window, group = filter / filters;
    float sum = 0;
    for (long long i = threadIdx.x; i < images * w.places; i += BLOCK) {
        long long image = i / w.places;
        unsigned place = i % w.places;
        int at = under(w, place, k);
        if (at >= 0) sum += widen(dy[(image * groups * filters + filter) * w.places + place]) * widen(x[(image * groups + group) * w.image + at]);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) narrow(sum, dw + blockIdx.x);
}
