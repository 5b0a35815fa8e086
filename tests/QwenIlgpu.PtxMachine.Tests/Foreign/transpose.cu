#include "device.h"

extern SHARED float dynamic[];

// Groups of two dimensions, 16 × 8; tiles of 16 × 16 in dynamic shared memory, a column wider than needed.
KERNEL GROUP_OF(128) transpose(float *d, const float *a, int rows, int columns)
{
    int x = GROUP_X * 16 + THREAD_X;
    for (int y = THREAD_Y; y < 16; y += 8) {
        int row = GROUP_Y * 16 + y;
        if (x < columns && row < rows)
            dynamic[y * 17 + THREAD_X] = a[row * columns + x];
    }

    __syncthreads();
    int row = GROUP_Y * 16 + THREAD_X;
    for (int y = THREAD_Y; y < 16; y += 8) {
        int column = GROUP_X * 16 + y;
        if (column < columns && row < rows)
            d[column * rows + row] = dynamic[THREAD_X * 17 + y];
    }
}
