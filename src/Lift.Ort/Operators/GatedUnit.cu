// y = gate · σ(gate) · up and its gradient; outputs may be dY's memory. Specification: GatedUnit.Cpu.cs
#include "common.cuh"

extern "C" __global__ void GatedUnit(const scalar* gate, const scalar* up, scalar* y, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats g = load4(gate + 4 * i), u = load4(up + 4 * i);
        for (int k = 0; k < 4; k++) u.at[k] *= g.at[k] / (1 + expf(-g.at[k]));
        store4(y + 4 * i, u);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) narrow(widen(gate[i]) / (1 + expf(-widen(gate[i]))) * widen(up[i]), y + i);
}

__device__ __forceinline__ void unit_grad(float d, float g, float u, float* d_gate, float* d_up) {
    float s = 1 / (1 + expf(-g)), silu = g * s;
    *d_up = d * silu;
    *d_gate = d * u * (s + silu * (1 - s));
}

extern "C" __global__ void GatedUnitGrad(const scalar* dy, const scalar* gate, const scalar* up, scalar* d_gate, scalar* d_up, long long n) {
    long long fours = n / 4;
    for (long long i = first_index(); i < fours; i += index_stride()) {
        Floats d = load4(dy + 4 * i), g = load4(gate + 4 * i), u = load4(up + 4 * i);
        for (int k = 0; k < 4; k++) unit_grad(d.at[k], g.at[k], u.at[k], &g.at[k], &u.at[k]);
        store4(d_gate + 4 * i, g);
        store4(d_up + 4 * i, u);
    }
    for (long long i = 4 * fours + first_index(); i < n; i += index_stride()) {
        float g, u;
        unit_grad(widen(dy[i]), widen(gate[i]), widen(up[i]), &g, &u);
        narrow(g, d_gate + i);
        narrow(u, d_up + i);
    }
}
