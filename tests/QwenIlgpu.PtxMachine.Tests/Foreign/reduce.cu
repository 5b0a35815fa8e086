#include "device.h"

DEVICE int warp_sum(int value)
{
    for (int mask = 16; mask > 0; mask /= 2)
        value += __nvvm_shfl_sync_bfly_i32(ALL_LANES, value, mask, 31);
    return value;
}

DEVICE float warp_max(float value)
{
    for (int step = 16; step > 0; step /= 2)
        value = __builtin_fmaxf(value, __nvvm_shfl_sync_down_f32(ALL_LANES, value, step, 31));
    return __nvvm_shfl_sync_idx_f32(ALL_LANES, value, 0, 31);
}

// Sum and maximum of each row, which one group has: warps, then the first warp over what the warps found.
KERNEL GROUP_OF(256) reduce_rows(int *sums, float *maxima, const int *numbers, const float *values, int columns)
{
    SHARED int warp_sums[8];
    SHARED float warp_maxima[8];
    int thread = THREAD_X;
    int warp = thread / 32;
    int lane = thread % 32;
    int sum = 0;
    float maximum = -__builtin_inff();
    for (int i = thread; i < columns; i += 256) {
        sum += numbers[GROUP_X * columns + i];
        maximum = __builtin_fmaxf(maximum, values[GROUP_X * columns + i]);
    }

    sum = warp_sum(sum);
    maximum = warp_max(maximum);
    if (lane == 0) {
        warp_sums[warp] = sum;
        warp_maxima[warp] = maximum;
    }

    __syncthreads();
    if (warp == 0) {
        sum = warp_sum(lane < 8 ? warp_sums[lane] : 0);
        maximum = warp_max(lane < 8 ? warp_maxima[lane] : -__builtin_inff());
        if (lane == 0) {
            sums[GROUP_X] = sum;
            maxima[GROUP_X] = maximum;
        }
    }
}

// Inclusive prefix sums of one warp, and the positive numbers moved to the front.
KERNEL GROUP_OF(32) scan_and_compact(int *prefix, int *kept, int *kept_count, const int *numbers)
{
    int lane = THREAD_X;
    int number = numbers[lane];
    int sum = number;
    for (int step = 1; step < 32; step *= 2) {
        int other, has_other;
        asm volatile("{ .reg .pred p; shfl.sync.up.b32 %0|p, %2, %3, 0, -1; selp.s32 %1, 1, 0, p; }"
                     : "=r"(other), "=r"(has_other) : "r"(sum), "r"(step));
        if (has_other)
            sum += other;
    }

    prefix[lane] = sum;
    unsigned votes = __nvvm_vote_ballot_sync(ALL_LANES, number > 0);
    if (number > 0)
        kept[__builtin_popcount(votes & ((1u << lane) - 1))] = number;
    if (lane == 0)
        *kept_count = __builtin_popcount(votes);
}
