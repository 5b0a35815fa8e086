#include "device.h"

// What no kernel may do, one mistake each.

KERNEL GROUP_OF(64) no_barrier(int *d)
{
    SHARED int numbers[64];
    numbers[THREAD_X] = THREAD_X;
    d[THREAD_X] = numbers[63 - THREAD_X];
}

KERNEL GROUP_OF(32) no_fence(int *sum, int *parts, unsigned *ticket)
{
    if (THREAD_X != 0)
        return;
    parts[GROUP_X] = GROUP_X;
    unsigned drawn;
    asm volatile("atom.global.inc.u32 %0, [%1], %2;" : "=r"(drawn) : "l"(ticket), "r"(GROUPS_X - 1) : "memory");
    if (drawn != GROUPS_X - 1)
        return;
    int value = 0;
    for (int i = 0; i < GROUPS_X; i++)
        value += parts[i];
    *sum = value;
}

KERNEL GROUP_OF(64) no_wait(float *d, const float *values)
{
    SHARED __attribute__((aligned(16))) float buffer[256];
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;"
                 : : "r"(SHARED_ADDRESS(&buffer[THREAD_X * 4])), "l"(values + THREAD_X * 4) : "memory");
    asm volatile("cp.async.commit_group;" : : : "memory");
    d[THREAD_X] = buffer[THREAD_X * 4];
}

KERNEL GROUP_OF(64) some_leave_before_the_barrier(int *d)
{
    if (THREAD_X >= 32)
        return;
    __syncthreads();
    d[THREAD_X] = 1;
}

KERNEL GROUP_OF(32) some_shuffle(int *d)
{
    int lane = THREAD_X;
    if (d[lane] > 15)
        d[lane] = __nvvm_shfl_sync_bfly_i32(ALL_LANES, lane, 1, 31);
}

KERNEL GROUP_OF(32) all_write_one_word(int *d)
{
    d[0] = GROUP_X;
}

KERNEL GROUP_OF(32) odd_address(float4 *d, const float *a)
{
    d[THREAD_X] = *(const float4 *)(a + THREAD_X);
}
