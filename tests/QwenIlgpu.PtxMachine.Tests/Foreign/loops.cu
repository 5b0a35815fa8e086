#include "device.h"

// Trip counts that differ by lane: steps to 1 of n, n + 1, …, with numbers left out and a bound on all of them.
KERNEL collatz(int *steps, const int *starts, const int *counts, int count, int limit)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    if (i >= count)
        return;
    int total = 0;
    for (int k = 0; k < counts[i]; k++) {
        unsigned n = starts[i] + k;
        if (n % 3 == 0)
            continue;
        while (n != 1) {
            n = n % 2 == 0 ? n / 2 : 3 * n + 1;
            if (++total >= limit)
                break;
        }

        if (total >= limit)
            break;
    }

    steps[i] = total;
}

// The first place where a line has what is sought; lanes leave at different times and meet for the vote.
KERNEL GROUP_OF(64) find(int *places, int *found, const int *lines, int columns, const int *sought)
{
    int line = GROUP_X * THREADS_X + THREAD_X;
    int place = -1;
    for (int outer = 0; outer < columns && place < 0; outer += 4) {
        for (int inner = 0; inner < 4; inner++) {
            int at = outer + inner;
            if (at >= columns)
                break;
            if (lines[line * columns + at] != sought[line])
                continue;
            place = at;
            break;
        }
    }

    places[line] = place;
    unsigned votes = __nvvm_vote_ballot_sync(ALL_LANES, place >= 0);
    if (THREAD_X % 32 == 0)
        found[line / 32] = __builtin_popcount(votes);
}
