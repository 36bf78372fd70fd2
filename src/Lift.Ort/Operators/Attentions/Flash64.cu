// Attention of heads of up to 64 numbers. 16-bit scalars only
#include "flash_forward.cuh"
#include "flash_backward.cuh"

extern "C" __global__ __launch_bounds__(128) void FlashForward(Flash f);
extern "C" __global__ __launch_bounds__(256) void FlashQueries(Flash f);
extern "C" __global__ __launch_bounds__(256) void FlashKeys(Flash f);

extern "C" __global__ void FlashForward(Flash f) { flash_forward<64, 2, 4>(f); }

extern "C" __global__ void FlashQueries(Flash f) { flash_queries<64, 1, 8, 64>(f); }

extern "C" __global__ void FlashKeys(Flash f) { flash_keys<64, 1, 8, 64>(f); }
