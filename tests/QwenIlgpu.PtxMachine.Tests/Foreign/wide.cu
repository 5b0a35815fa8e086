#include "device.h"

// Eleven results a thread.
KERNEL integers(wide *d, const wide *a, const wide *b)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    wide x = a[i], y = b[i];
    long long s = (long long)x, t = (long long)y;
    wide *to = d + 11 * i;
    to[0] = x * y + 12345678901234ull;
    to[1] = (wide)(((unsigned __int128)x * y) >> 64);
    to[2] = x / (y | 1);
    to[3] = (wide)(s % (t | 1));
    to[4] = (wide)(s >> (y & 63)) ^ (x << (y & 31));
    to[5] = (wide)__builtin_popcountll(x) * 1000 + __builtin_clzll(y | 1);
    to[6] = s < t ? x : y;
    to[7] = __builtin_bitreverse64(x) & ~y;
    to[8] = (wide)((unsigned)x / ((unsigned)y | 1)) << 32 | (unsigned)((int)x % ((int)y | 1));
    to[9] = (wide)((long long)(int)x * (int)y) - (wide)((x >> 32) * (y & 0xffffffff));
    to[10] = (wide)(long long)(short)x + (wide)(signed char)y + (wide)(s > t) + (wide)((unsigned)(x >> 13) & 0x7ff);
}

// Ten results a thread.
KERNEL doubles(double *d, const double *a, const double *b)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    double x = a[i], y = b[i];
    double *to = d + 10 * i;
    to[0] = x + y * 3.0;
    to[1] = __builtin_fma(x, y, -x);
    to[2] = x / y;
    to[3] = __builtin_sqrt(__builtin_fabs(x));
    to[4] = x < y ? -x : __builtin_floor(y);
    to[5] = (double)(float)x - (double)(long long)y;
    to[6] = (double)(unsigned)(int)x;
    to[7] = __builtin_fmin(x, y) * __builtin_fmax(x, 0.1);
    to[8] = __builtin_trunc(x) + __builtin_ceil(y);
    to[9] = x == y || x != x ? 1.0 : (double)((wide)__builtin_fabs(y) >> 1);
}
