#include "device.h"

enum { threads = 64, per_thread = 4, tile = threads * per_thread };

DEVICE void copy_async(float *shared, const float *global, int bytes)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(SHARED_ADDRESS(shared)), "l"(global), "r"(bytes) : "memory");
}

DEVICE void commit(void)
{
    asm volatile("cp.async.commit_group;" : : : "memory");
}

// Each tile is read in reverse, so by other threads than those that asked for it, while the next one is on its way. What is missing of
// the last tile is filled with zeros.
KERNEL GROUP_OF(64) weigh(float *sums, const float *values, int count)
{
    SHARED __attribute__((aligned(16))) float buffers[2][tile];
    int thread = THREAD_X;
    int tiles = (count + tile - 1) / tile;
    values += GROUP_X * count;
    float sum = 0;
    for (int i = -1; i < tiles; i++) {
        int next = i + 1;
        if (next < tiles) {
            int first = next * tile + thread * per_thread;
            int left = count - first;
            int bytes = left >= per_thread ? 16 : left > 0 ? 4 * left : 0;
            copy_async(&buffers[next % 2][thread * per_thread], bytes > 0 ? values + first : values, bytes);
        }

        commit();
        if (i < 0)
            continue;
        asm volatile("cp.async.wait_group 1;" : : : "memory");
        __syncthreads();
        for (int k = 0; k < per_thread; k++)
            sum = __builtin_fmaf(buffers[i % 2][tile - 1 - thread * per_thread - k], (float)(i + 1), sum);
        __syncthreads();
    }

    sums[GROUP_X * threads + thread] = sum;
}
