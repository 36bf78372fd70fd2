// The compact vector's parts, as Segment of MaskedAdamW.cs lays them out, and the parts of the work: one block of threads takes PER_BLOCK entries.
#pragma once
struct Segment {
    char* weight;           // first element
    int type;               // ONNX's number: 1 float32, 10 float16, 16 bfloat16
    const int* position;    // ascending; null: every entry
    long long offset;       // in the compact vector
    long long length;
    long long master;       // in the vector of masters; -1: float32 weights are their own
};
struct Part { int segment, number; };
#define PER_BLOCK 2048

__device__ __forceinline__ float read_weight(const Segment& s, long long at) {
    return s.type == 1 ? ((const float*)s.weight)[at] : s.type == 10 ? widen(((const float16*)s.weight)[at]) : widen(((const bfloat16*)s.weight)[at]);
}

__device__ __forceinline__ void write_weight(const Segment& s, long long at, float value) {
    if (s.type == 1) ((float*)s.weight)[at] = value;
    else if (s.type == 10) narrow(value, &((float16*)s.weight)[at]);
    else narrow(value, &((bfloat16*)s.weight)[at]);
}
