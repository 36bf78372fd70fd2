// One step of AdamW on the selected entries of all weights of a model in one launch; no two entries share an address, so no atomics.
// verdict: that of StepVerdict.cs, or null. Specification: MaskedAdamW.Cpu.cs, operation for operation.
#include "common.cuh"
#include "Segments.cuh"

struct Numbers { float b1, c1, b2, c2, a, root, epsilon, decay, scale, clip; int torch; };

__device__ __forceinline__ float next(const Numbers& n, float w, float g, float* first, float* second) {
    g = fminf(fmaxf(g * n.scale, -n.clip), n.clip);
    float m = *first = n.b1 * *first + n.c1 * g, v = *second = n.b2 * *second + n.c2 * (g * g);
    if (n.torch) w -= n.decay * w;
    float size = n.torch ? sqrtf(v) / n.root + n.epsilon : sqrtf(v) + n.epsilon;
    w -= n.a * (m / size);
    if (!n.torch) w -= n.decay * w;
    return w;
}

extern "C" __global__ void MaskedAdamW(const Segment* segments, const Part* parts, const float* gradient, float* first, float* second, float* master, Numbers n, const double* verdict, double clip_norm, double gradient_scale) {
    if (verdict) {
        if (verdict[1] == 0) return;
        double norm = sqrt(verdict[0]) * (gradient_scale < 0 ? -gradient_scale : gradient_scale);
        if (clip_norm > 0 && norm > clip_norm) n.scale = (float)(gradient_scale * (clip_norm / norm));
    }
    Segment s = segments[parts[blockIdx.x].segment];
    long long from = (long long)parts[blockIdx.x].number * PER_BLOCK;
    for (int k = 0; k < PER_BLOCK / BLOCK; k++) {
        long long i = from + k * BLOCK + threadIdx.x, c = s.offset + i;
        if (i >= s.length) return;
        long long at = s.position ? s.position[i] : i;
        if (s.master < 0) {
            float* w = (float*)s.weight + at;
            *w = next(n, *w, gradient[c], first + c, second + c);
        } else {
            float w = next(n, master[s.master + i], gradient[c], first + c, second + c);
            master[s.master + i] = w;
            write_weight(s, at, w);
        }
    }
}
