using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Integers of all threads of a group put together in <see cref="Words"/> words of shared memory: by sixteen rows of sixteen, so that two
/// barriers do. All threads come here together. A thread's own words, the one thread's and the rows' lie apart, and each is written a
/// barrier after the last that is read of it: none is needed before.
/// </summary>
internal static class GroupScan
{
    /// <summary>Threads of a group.</summary>
    public const int Threads = Side * Side;

    public const int Words = Rows + Side;

    private const int Side = 16;
    private const int One = Threads;
    private const int Rows = Threads + 2;

    /// <summary>The sum over the threads up to this one.</summary>
    public static long Sum(ArrayView<long> shared, long value)
    {
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
            shared[Rows + (int)((uint)row / Side)] = rowSum;
        Group.Barrier();
        for (int i = 0; i < Side - 1; i++)              // no thread's row lies behind the last
            sum += i * Side < row ? shared[Rows + i] : 0;
        return sum;
    }

    /// <summary>The sum over all threads, after <see cref="Sum"/> and until the words are next written.</summary>
    public static long Total(ArrayView<long> shared) => SumOf(shared, Rows);

    /// <summary>The sum over all threads, where nobody asks how far it is up to one.</summary>
    public static long Total(ArrayView<long> shared, long value)
    {
        shared[Group.IdxX] = value;
        Group.Barrier();
        if (Group.IdxX < Side)
            shared[Rows + Group.IdxX] = SumOf(shared, Group.IdxX * Side);
        Group.Barrier();
        return SumOf(shared, Rows);
    }

    /// <summary>The greatest value of any thread, unsigned.</summary>
    public static ulong Max(ArrayView<long> shared, ulong value)
    {
        shared[Group.IdxX] = (long)value;
        Group.Barrier();
        if (Group.IdxX < Side)
            shared[Rows + Group.IdxX] = (long)MaxOf(shared, Group.IdxX * Side);
        Group.Barrier();
        return MaxOf(shared, Rows);
    }

    /// <summary>The numbers of the one thread that has them; between two of these lies a <see cref="Sum"/>.</summary>
    public static (long First, long Second) Only(ArrayView<long> shared, bool has, long first, long second)
    {
        if (has)
        {
            shared[One] = first;
            shared[One + 1] = second;
        }

        Group.Barrier();
        return (shared[One], shared[One + 1]);
    }

    private static long SumOf(ArrayView<long> shared, int from)
    {
        long sum = 0;
        for (int i = 0; i < Side; i++)
            sum += shared[from + i];
        return sum;
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
