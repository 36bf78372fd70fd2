// LSTM and GRU, one step of all directions and sequences at a time; the products between the steps are cuBLAS's. One thread per unit; working memory is float32.
// Specification: LstmTraining.Cpu.cs, LstmGrad.Cpu.cs, GruTraining.Cpu.cs, GruGrad.Cpu.cs, RecurrentActivation.cs
#include "common.cuh"

// low and high: the function's values at the bounds of clip.
struct Function { int kind; float alpha, beta, low, high; };
// h: hidden units; reverse: bit d where direction d walks from the end; lengths: of the sequences, or null.
struct Layer { const int* lengths; long long steps, batch, h; int directions, reverse; float clip; int input_forget; Function function[6]; };

// Where unit j of sequence b in direction d is at a step: `unit` in [directions, batch, h], `row` in [directions, steps, batch], `at` and `before` in [steps, directions, batch].
struct Cell { bool has, last; long long d, b, j, unit, row, at, before; };

__device__ __forceinline__ long long length_of(const Layer& l, long long b) {
    long long length = l.lengths ? l.lengths[b] : l.steps;
    return length < 0 ? 0 : length < l.steps ? length : l.steps;
}

__device__ __forceinline__ Cell cell_at(const Layer& l, long long unit, long long step) {
    Cell c;
    c.unit = unit, c.j = unit % l.h, c.b = unit / l.h % l.batch, c.d = unit / l.h / l.batch;
    long long length = length_of(l, c.b);
    bool reverse = l.reverse >> c.d & 1;
    c.has = step < length, c.last = step == length - 1;
    long long time = c.has && reverse ? length - 1 - step : step, earlier = reverse ? time + 1 : time - 1;
    c.row = (c.d * l.steps + time) * l.batch + c.b;
    c.at = (time * l.directions + c.d) * l.batch + c.b, c.before = (earlier * l.directions + c.d) * l.batch + c.b;
    return c;
}

__device__ __forceinline__ float apply(const Function& f, float x) {
    switch (f.kind) {
        case 0: return 1 / (1 + expf(-x));
        case 1: return tanhf(x);
        case 2: return x > 0 || x != x ? x : 0;
        case 3: return f.alpha * x + f.beta;
        case 4: return x >= 0 ? x : f.alpha * x;
        case 5: return x > f.alpha ? x : 0;
        case 6: return f.alpha * tanhf(f.beta * x);
        case 7: { float y = f.alpha * x + f.beta; return y < 0 ? 0 : y > 1 ? 1 : y; }
        case 8: return x >= 0 ? x : f.alpha * (expf(x) - 1);
        case 9: return x / (1 + (x < 0 ? -x : x));
        default: return logf(1 + expf(x));
    }
}

__device__ __forceinline__ float clipped(float x, float clip) { return clip <= 0 ? x : x < -clip ? -clip : x > clip ? clip : x; }

__device__ __forceinline__ float gate(const Layer& l, const Function& f, float x) { return apply(f, clipped(x, l.clip)); }

__device__ __forceinline__ float stored(float x) {
    scalar s;
    narrow(x, &s);
    return widen(s);
}

__device__ __forceinline__ float distance(float a, float b) { return a < b ? b - a : a - b; }

// f′ from f's value y; 0 where y is the value of a bound, as it is stored, at which the argument was clipped.
__device__ __forceinline__ float slope(const Function& f, float y, float clip) {
    if (clip > 0) {
        float most = distance(f.low, 0) > distance(f.high, 0) ? distance(f.low, 0) : distance(f.high, 0), rounding = 4e-7f * (most > 1 ? most : 1);
        if (distance(y, stored(f.low)) <= rounding || distance(y, stored(f.high)) <= rounding) return 0;
    }
    switch (f.kind) {
        case 0: return y * (1 - y);
        case 1: return 1 - y * y;
        case 2: return y > 0 ? 1 : 0;
        case 3: return f.alpha;
        case 4: return y >= 0 ? 1 : f.alpha;
        case 5: return y != 0 ? 1 : 0;
        case 6: return f.beta * (f.alpha - y * y / f.alpha);
        case 7: return y > 0 && y < 1 ? f.alpha : 0;
        case 8: return y >= 0 ? 1 : y + f.alpha;
        case 9: { float rest = 1 - (y < 0 ? -y : y); return rest * rest; }
        default: return 1 - expf(-y);
    }
}

__device__ __forceinline__ float given(const scalar* x, long long i) { return x ? widen(x[i]) : 0; }

__device__ __forceinline__ void put(scalar* y, long long i, float x) { if (y) narrow(x, y + i); }

// sums: [directions, batch, 4h], state · Rᵀ; xw: [directions, steps, batch, 4h], x · Wᵀ; gates in the order i, o, f, c.
extern "C" __global__ void LstmStep(const float* sums, const float* xw, const scalar* bias, const scalar* peephole, float* state, float* cell, scalar* all, scalar* cells, scalar* gates, Layer l, long long step) {
    for (long long unit = first_index(); unit < l.directions * l.batch * l.h; unit += index_stride()) {
        Cell c = cell_at(l, unit, step);
        long long h = l.h, out = c.at * h + c.j;
        if (!c.has) {
            put(all, out, 0), put(cells, out, 0);
            for (int k = 0; k < 4; k++) put(gates, c.at * 4 * h + k * h + c.j, 0);
            continue;
        }
        const Function* f = l.function + 3 * c.d;
        float v[4], memory = cell[unit];
        for (int k = 0; k < 4; k++)
            v[k] = sums[unit / h * 4 * h + k * h + c.j] + xw[c.row * 4 * h + k * h + c.j] + given(bias, c.d * 8 * h + k * h + c.j) + given(bias, c.d * 8 * h + (4 + k) * h + c.j);
        const scalar* p = peephole ? peephole + c.d * 3 * h + c.j : 0;
        float in = gate(l, f[0], v[0] + given(p, 0) * memory), forget = l.input_forget ? 1 - in : gate(l, f[0], v[2] + given(p, 2 * h) * memory), fresh = gate(l, f[1], v[3]);
        memory = forget * memory + in * fresh;
        float open = gate(l, f[0], v[1] + given(p, h) * memory), s = open * apply(f[2], memory);
        cell[unit] = memory, state[unit] = s;
        put(all, out, s), put(cells, out, memory);
        float saved[4] = {in, open, forget, fresh};
        for (int k = 0; k < 4; k++) put(gates, c.at * 4 * h + k * h + c.j, saved[k]);
    }
}

// d_state and d_cell: what reaches the step's state and cell from later ones; d_gates by time [directions, steps, batch, 4h] and of this step [directions, batch, 4h]; before: the
// states that the steps began with, [directions, steps, batch, h]; peepholes: [directions, batch, 3h], added up over the steps.
extern "C" __global__ void LstmGradStep(const scalar* gates, const scalar* cells, const scalar* all, const scalar* h0, const scalar* c0, const scalar* peephole, const scalar* d_all, const scalar* d_final,
    const scalar* d_final_cell, const float* d_state, float* d_cell, float* d_gates, float* d_step, float* before, float* peepholes, Layer l, long long step) {
    for (long long unit = first_index(); unit < l.directions * l.batch * l.h; unit += index_stride()) {
        Cell c = cell_at(l, unit, step);
        long long h = l.h, of_step = unit / h * 4 * h + c.j;
        if (!c.has) {
            for (int k = 0; k < 4; k++) d_step[of_step + k * h] = 0;
            continue;
        }
        const Function* f = l.function + 3 * c.d;
        const scalar* saved = gates + c.at * 4 * h + c.j;
        float in = widen(saved[0]), open = widen(saved[h]), forget = widen(saved[2 * h]), fresh = widen(saved[3 * h]), memory = widen(cells[c.at * h + c.j]);
        float old_memory = step > 0 ? widen(cells[c.before * h + c.j]) : given(c0, unit), old_state = step > 0 ? widen(all[c.before * h + c.j]) : given(h0, unit);
        float s = (c.last ? given(d_final, unit) : d_state[unit]) + given(d_all, c.at * h + c.j), m = c.last ? given(d_final_cell, unit) : d_cell[unit];
        const scalar* p = peephole ? peephole + c.d * 3 * h + c.j : 0;
        float t = apply(f[2], memory), d_open = s * t * slope(f[0], open, l.clip);
        m += s * open * slope(f[2], t, 0) + given(p, h) * d_open;
        float d_in = m * fresh, d_forget = m * old_memory;
        if (l.input_forget) d_in -= d_forget, d_forget = 0;
        else d_forget *= slope(f[0], forget, l.clip);
        d_in *= slope(f[0], in, l.clip);
        float d[4] = {d_in, d_open, d_forget, m * in * slope(f[1], fresh, l.clip)};
        d_cell[unit] = m * forget + given(p, 0) * d_in + given(p, 2 * h) * d_forget;
        if (peephole) {
            float* sums = peepholes + unit / h * 3 * h + c.j;
            sums[0] += d_in * old_memory, sums[h] += d_open * memory, sums[2 * h] += d_forget * old_memory;
        }
        before[c.row * h + c.j] = old_state;
        for (int k = 0; k < 4; k++) d_step[of_step + k * h] = d_gates[c.row * 4 * h + k * h + c.j] = d[k];
    }
}

// phase 1: the gates z and r, which take the place of their sums, and r ⊙ h; 2: the candidate and the new state; 3: both at once, where the reset comes after the product (linear).
extern "C" __global__ void GruStep(float* sums, const float* xw, const scalar* bias, float* state, float* reset, scalar* all, scalar* gates, Layer l, long long step, int phase) {
    for (long long unit = first_index(); unit < l.directions * l.batch * l.h; unit += index_stride()) {
        Cell c = cell_at(l, unit, step);
        long long h = l.h;
        if (!c.has) {
            put(all, c.at * h + c.j, 0);
            for (int k = 0; k < 3; k++) put(gates, c.at * 3 * h + k * h + c.j, 0);
            continue;
        }
        const Function* f = l.function + 3 * c.d;
        const float* x = xw + c.row * 3 * h + c.j;
        const scalar* b = bias ? bias + c.d * 6 * h + c.j : 0;
        float* v = sums + unit / h * 3 * h + c.j;
        float z = v[0], r = v[h], n = v[2 * h];
        if (phase & 1) {
            z = gate(l, f[0], z + x[0] + given(b, 0) + given(b, 3 * h)), r = gate(l, f[0], r + x[h] + given(b, h) + given(b, 4 * h));
            v[0] = z, v[h] = r;
        }
        if (phase == 1) reset[unit] = r * state[unit];
        if (!(phase & 2)) continue;
        n += given(b, 5 * h);
        n = gate(l, f[1], (phase == 3 ? r * n : n) + x[2 * h] + given(b, 2 * h));
        float s = n + z * (state[unit] - n);
        state[unit] = s;
        put(all, c.at * h + c.j, s);
        put(gates, c.at * 3 * h + c.j, z), put(gates, c.at * 3 * h + h + c.j, r), put(gates, c.at * 3 * h + 2 * h + c.j, n);
    }
}

// The states that the steps began with, by time, and r ⊙ them.
extern "C" __global__ void GruBefore(const scalar* gates, const scalar* all, const scalar* h0, float* before, float* inner, Layer l, int linear) {
    long long units = l.directions * l.batch * l.h;
    for (long long i = first_index(); i < l.steps * units; i += index_stride()) {
        Cell c = cell_at(l, i % units, i / units);
        if (!c.has) continue;
        float state = i >= units ? widen(all[c.before * l.h + c.j]) : given(h0, c.unit);
        before[c.row * l.h + c.j] = state;
        if (!linear) inner[c.row * l.h + c.j] = state * widen(gates[c.at * 3 * l.h + l.h + c.j]);
    }
}

// phase 1: dz and dn; 2: dr from the gradient of r ⊙ h (through); 3, linear: all three at once, through being h · Rᵀ by time. d_state: in what reaches the state, out what passes by R.
extern "C" __global__ void GruGradStep(const scalar* gates, const scalar* bias, const scalar* d_all, const scalar* d_final, const float* before, const float* through, float* d_state, float* d_gates, float* d_step,
    float* inner, Layer l, long long step, int phase) {
    for (long long unit = first_index(); unit < l.directions * l.batch * l.h; unit += index_stride()) {
        Cell c = cell_at(l, unit, step);
        long long h = l.h;
        float* of_step = d_step + unit / h * 3 * h + c.j;
        if (!c.has) {
            for (int k = 0; k < 3; k++) of_step[k * h] = 0;
            d_state[unit] = 0;
            continue;
        }
        const Function* f = l.function + 3 * c.d;
        const scalar* saved = gates + c.at * 3 * h + c.j;
        float z = widen(saved[0]), r = widen(saved[h]), n = widen(saved[2 * h]), old = before[c.row * h + c.j];
        float* to = d_gates + c.row * 3 * h + c.j;
        if (phase & 1) {
            float s = (c.last ? given(d_final, unit) : d_state[unit]) + given(d_all, c.at * h + c.j), dn = s * (1 - z) * slope(f[1], n, l.clip);
            of_step[0] = to[0] = s * (old - n) * slope(f[0], z, l.clip);
            of_step[2 * h] = to[2 * h] = dn;
            d_state[unit] = s * z;
            if (phase == 3) {
                of_step[h] = to[h] = dn * (through[c.row * h + c.j] + given(bias, c.d * 6 * h + 5 * h + c.j)) * slope(f[0], r, l.clip);
                of_step[2 * h] = inner[c.row * h + c.j] = dn * r;
            }
        } else {
            of_step[h] = to[h] = through[unit] * old * slope(f[0], r, l.clip);
            d_state[unit] += through[unit] * r;
        }
    }
}

// What reaches the state or cell before the first step: through the steps, or from the end where a sequence has none.
extern "C" __global__ void FirstGrad(const float* through, const scalar* d_final, scalar* y, Layer l) {
    for (long long unit = first_index(); unit < l.directions * l.batch * l.h; unit += index_stride()) narrow(length_of(l, unit / l.h % l.batch) == 0 ? given(d_final, unit) : through[unit], y + unit);
}

// y[matrix][i] = Σ over the rows of x [matrices, rows, width], and again at y[matrix][second + i] for the first `repeated` ones. A block takes 32 columns.
extern "C" __global__ void SumRows(const float* x, scalar* y, long long rows, long long width, long long step, long long second, long long repeated) {
    __shared__ float part[BLOCK];
    long long tiles = (width + 31) / 32, matrix = blockIdx.x / tiles, i = blockIdx.x % tiles * 32 + threadIdx.x % 32;
    float sum = 0;
    for (long long row = threadIdx.x / 32; i < width && row < rows; row += BLOCK / 32) sum += x[(matrix * rows + row) * width + i];
    part[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x >= 32 || i >= width) return;
    for (int k = 1; k < BLOCK / 32; k++) sum += part[32 * k + threadIdx.x];
    narrow(sum, y + matrix * step + i);
    if (i < repeated) narrow(sum, y + matrix * step + second + i);
}
