// Attention of heads of 65 to 128 numbers. 16-bit scalars only
#include "flash_forward.cuh"
#include "flash_backward.cuh"

extern "C" __global__ __launch_bounds__(256) void FlashForward(Flash f);
extern "C" __global__ __launch_bounds__(256) void FlashQueries(Flash f);
extern "C" __global__ __launch_bounds__(256) void FlashKeys(Flash f);

extern "C" __global__ void FlashForward(Flash f) { flash_forward<128, 1, 8>(f); }

extern "C" __global__ void FlashQueries(Flash f) { flash_queries<128, 1, 8, 32>(f); }

extern "C" __global__ void FlashKeys(Flash f) { flash_keys<128, 1, 8, 32>(f); }
