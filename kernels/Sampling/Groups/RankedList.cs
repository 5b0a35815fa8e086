using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Numbers of a group in shared memory, put in order by a bitonic network.</summary>
internal static class RankedList
{
    public const int Capacity = 2048;

    /// <summary>The power of two, at least 2, to which a list of this length reaches with what ranks behind it.</summary>
    public static int PaddedLength(int length)
    {
        int padded = 2;
        while (padded < length)
            padded <<= 1;
        return padded;
    }

    /// <summary>Greatest first, after the next barrier. The length is a power of two, at least 2.</summary>
    public static void Sort(ArrayView<ulong> list, int length)
    {
        int run = 2;
        do
        {
            int distance = run >> 1;
            do
            {
                Group.Barrier();
                for (int pair = Group.IdxX; pair < length >> 1; pair += GroupScan.Threads)
                {
                    int left = (2 * pair) - (pair & (distance - 1));
                    ulong a = list[left];
                    ulong b = list[left + distance];
                    if ((a < b) == ((left & run) == 0))
                    {
                        list[left] = b;
                        list[left + distance] = a;
                    }
                }

                distance >>= 1;
            }
            while (distance > 0);
            run <<= 1;
        }
        while (run <= length);
    }
}
