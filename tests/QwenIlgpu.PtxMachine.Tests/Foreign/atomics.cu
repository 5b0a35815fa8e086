#include "device.h"

KERNEL GROUP_OF(128) histogram(unsigned *bins, int *greatest, float *total, const byte *values, int count)
{
    SHARED int own[64];
    int thread = THREAD_X;
    if (thread < 64)
        own[thread] = 0;
    __syncthreads();
    for (int i = GROUP_X * 128 + thread; i < count; i += GROUPS_X * 128) {
        __nvvm_atom_add_gen_i(&own[values[i] % 64], 1);
        __nvvm_atom_max_gen_i(greatest, values[i]);
    }

    __syncthreads();
    if (thread < 64 && own[thread] != 0) {
        __nvvm_atom_add_gen_i((int *)&bins[thread], own[thread]);
        __nvvm_atom_add_gen_f(total, (float)own[thread]);
    }
}

// Each group leaves its sum; the one that draws the last ticket adds them all. Fences order what was left for the first lane, and the
// barrier for the others: the shuffle orders nothing.
KERNEL GROUP_OF(32) sum_fenced(int *sum, int *parts, unsigned *ticket, const int *values)
{
    int lane = THREAD_X;
    int value = values[GROUP_X * 32 + lane];
    for (int mask = 16; mask > 0; mask /= 2)
        value += __nvvm_shfl_sync_bfly_i32(ALL_LANES, value, mask, 31);
    unsigned drawn = 0;
    if (lane == 0) {
        parts[GROUP_X] = value;
        __nvvm_membar_gl();
        asm volatile("atom.global.inc.u32 %0, [%1], %2;" : "=r"(drawn) : "l"(ticket), "r"(GROUPS_X - 1) : "memory");
    }

    drawn = __nvvm_shfl_sync_idx_i32(ALL_LANES, drawn, 0, 31);
    if (drawn != GROUPS_X - 1)
        return;
    __nvvm_membar_gl();
    __syncthreads();
    value = 0;
    for (int i = lane; i < GROUPS_X; i += 32)
        value += ((volatile int *)parts)[i];
    for (int mask = 16; mask > 0; mask /= 2)
        value += __nvvm_shfl_sync_bfly_i32(ALL_LANES, value, mask, 31);
    if (lane == 0)
        *sum = value;
}

// The same by an atomic that orders, and a barrier that passes the order on. Without volatile this clang reads is_last before the barrier.
KERNEL GROUP_OF(64) sum_ordered(int *sum, int *parts, unsigned *ticket, const int *values)
{
    SHARED volatile int is_last;
    int thread = THREAD_X;
    int groups = GROUPS_X;
    parts[GROUP_X * 64 + thread] = values[GROUP_X * 64 + thread];
    __syncthreads();
    if (thread == 0) {
        unsigned drawn;
        asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], 1;" : "=r"(drawn) : "l"(ticket) : "memory");
        is_last = drawn == groups - 1;
    }

    __syncthreads();
    if (!is_last)
        return;
    int value = 0;
    for (int i = thread; i < groups * 64; i += 64)
        value += parts[i];
    __nvvm_atom_add_gen_i(sum, value);
}

// A maximum of floats by compare and swap: lanes of a warp that want the same word take turns.
KERNEL greatest(int *bits, const float *values, int count)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    if (i >= count)
        return;
    int old = *(volatile int *)bits;
    while (__builtin_bit_cast(float, old) < values[i]) {
        int seen = __nvvm_atom_cas_gen_i(bits, old, __builtin_bit_cast(int, values[i]));
        if (seen == old)
            break;
        old = seen;
    }
}
