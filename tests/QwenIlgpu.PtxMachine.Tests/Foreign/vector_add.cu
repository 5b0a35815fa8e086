#include "device.h"

// A grid-stride loop over fours, and one thread for each of what is left.
KERNEL GROUP_OF(128) add(float *sum, const float *a, const float *b, int count)
{
    int thread = GROUP_X * THREADS_X + THREAD_X;
    int threads = GROUPS_X * THREADS_X;
    for (int i = thread; i < count / 4; i += threads)
        ((float4 *)sum)[i] = ((const float4 *)a)[i] + ((const float4 *)b)[i];
    int rest = count / 4 * 4 + thread;
    if (rest < count)
        sum[rest] = a[rest] + b[rest];
}

KERNEL scale_bytes(byte *d, const byte *a, const signed char *b, half_bits scale, int count)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    if (i < count)
        d[i] = (byte)((a[i] * scale + b[i]) >> 4);
}
