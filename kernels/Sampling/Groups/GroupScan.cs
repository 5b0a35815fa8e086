using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Integers of all threads of a group put together in <see cref="Words"/> words of shared memory: by sixteen rows of sixteen, so that three
/// barriers do. All threads come here together.
/// </summary>
internal static class GroupScan
{
    /// <summary>Threads of a group.</summary>
    public const int Threads = Side * Side;

    public const int Words = Threads + Side;

    private const int Side = 16;

    /// <summary>The sum over the threads up to this one.</summary>
    public static long Sum(ArrayView<long> shared, long value)
    {
        Group.Barrier();
        shared[Group.IdxX] = value;
        Group.Barrier();
        int row = Group.IdxX & ~(Side - 1);
        long sum = 0;
        long rowSum = 0;
        for (int i = 0; i < Side; i++)
        {
            long other = shared[row + i];
            rowSum += other;
            sum += row + i <= Group.IdxX ? other : 0;
        }

        if (row + Side - 1 == Group.IdxX)
            shared[Threads + (int)((uint)row / Side)] = rowSum;
        Group.Barrier();
        for (int i = 0; i < Side; i++)
            sum += i * Side < row ? shared[Threads + i] : 0;
        return sum;
    }

    /// <summary>The sum over all threads, after <see cref="Sum"/> and until the words are next written.</summary>
    public static long Total(ArrayView<long> shared)
    {
        long total = 0;
        for (int i = 0; i < Side; i++)
            total += shared[Threads + i];
        return total;
    }

    /// <summary>The greatest value of any thread, unsigned.</summary>
    public static ulong Max(ArrayView<long> shared, ulong value)
    {
        Group.Barrier();
        shared[Group.IdxX] = (long)value;
        Group.Barrier();
        if (Group.IdxX < Side)
            shared[Threads + Group.IdxX] = (long)MaxOf(shared, Group.IdxX * Side);
        Group.Barrier();
        return MaxOf(shared, Threads);
    }

    /// <summary>The numbers of the one thread that has them.</summary>
    public static (long First, long Second) Only(ArrayView<long> shared, bool has, long first, long second)
    {
        Group.Barrier();
        if (has)
        {
            shared[0] = first;
            shared[1] = second;
        }

        Group.Barrier();
        return (shared[0], shared[1]);
    }

    private static ulong MaxOf(ArrayView<long> shared, int from)
    {
        ulong max = 0;
        for (int i = 0; i < Side; i++)
        {
            ulong other = (ulong)shared[from + i];
            max = other > max ? other : max;
        }

        return max;
    }
}
