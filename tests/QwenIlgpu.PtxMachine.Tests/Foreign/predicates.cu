#include "device.h"

DEVICE int between(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

// Conditions joined and negated, NaN among the operands.
KERNEL classify(int *d, const float *a, const float *b, const int *n, int count)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    if (i >= count)
        return;
    float x = a[i], y = b[i];
    int k = n[i];
    int flags = 0;
    if ((x < y && k > 0) || (!(x <= y) && k < -5))
        flags |= 1;
    if ((x == y) != (k & 1))
        flags |= 2;
    if (x != x || y != y)
        flags |= 4;
    else if (x > 2 * y)
        flags |= 8;
    if (!(x >= 0) != !(y >= 0))
        flags |= 16;
    if ((unsigned)k > 7u && (unsigned)k - 100u < 50u)
        flags |= 32;
    flags |= between(k, -9, 9) << 8;
    d[i] = flags;
    if (flags & 1)
        d[count + i] = k;
    else if (flags & 4)
        d[count + i] = -k;
    else
        d[count + i] = __builtin_fabsf(x) < 1e9f ? (int)x : 77;
}
