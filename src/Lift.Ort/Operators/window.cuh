// How a window moves over an image, as kernels take it by value. Specification: Patches.cs
#pragma once
#include "common.cuh"

// How a window moves over an image of up to six axes; image, window and places are the products of their axes.
struct Window { int axes, image, window, places, size[6], kernel[6], output[6], stride[6], dilation[6], before[6]; };

// The image element under kernel element k at a place; -1 in the padding.
__device__ __forceinline__ int under(const Window& w, unsigned place, unsigned k) {
    int at = 0, scale = 1;
    for (int d = w.axes - 1; d >= 0; d--) {
        int position = (int)(place % w.output[d]) * w.stride[d] + (int)(k % w.kernel[d]) * w.dilation[d] - w.before[d];
        if (position < 0 || position >= w.size[d]) return -1;
        at += position * scale, scale *= w.size[d];
        place /= w.output[d], k /= w.kernel[d];
    }
    return at;
}

// The place at which an image element lies under kernel element k; -1 where there is none.
__device__ __forceinline__ int place_of(const Window& w, unsigned element, unsigned k) {
    int place = 0, scale = 1;
    for (int d = w.axes - 1; d >= 0; d--) {
        int from = (int)(element % w.size[d]) + w.before[d] - (int)(k % w.kernel[d]) * w.dilation[d], at = from / w.stride[d];
        if (from < 0 || at * w.stride[d] != from || at >= w.output[d]) return -1;
        place += at * scale, scale *= w.output[d];
        element /= w.size[d], k /= w.kernel[d];
    }
    return place;
}
