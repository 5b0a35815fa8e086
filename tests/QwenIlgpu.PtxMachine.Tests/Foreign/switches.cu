#include "device.h"

// A small machine: every lane runs its own program of dense codes.
KERNEL interpret(int *results, const byte *programs, const int *arguments, int length)
{
    int i = GROUP_X * THREADS_X + THREAD_X;
    int value = arguments[i];
    int other = i;
    for (int at = 0; at < length; at++) {
        switch (programs[i * length + at]) {
        case 0: results[i] = value; return;
        case 1: value += other; break;
        case 2: value -= 3 * other; break;
        case 3: other = value ^ (other << 3); break;
        case 4: value *= 7; break;
        case 5: if (value < 0) value = -value; break;
        case 6: { int t = value; value = other; other = t; break; }
        case 7: at += 2; break;
        case 8: value = (int)((unsigned)value >> 5) | (value << 27); break;
        case 9: value = value / 3 + value % 5; break;
        case 10: while (value > 1000) value /= 2;
        case 11: other++; break;
        default: value = ~value; break;
        }
    }

    results[i] = value - other;
}
