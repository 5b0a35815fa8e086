using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A histogram over the distance to the row's best score, nearest first: 128 buckets an octave from 2^-10 up to 64. Of two tokens in
/// different buckets, the one in the lower bucket has the greater score.
/// </summary>
internal static class RankBuckets
{
    public const int Count = 2048;

    private const int OfThread = Count / GroupScan.Threads;
    private const int LowestExponent = -10;
    private const int BitsPerOctave = 7;

    public static int Of(float best, float score)
    {
        float distance = best - score;
        if (!(distance > 0))
            return 0;
        int bucket = (int)(Interop.FloatAsInt(distance) >> (23 - BitsPerOctave)) - ((127 + LowestExponent) << BitsPerOctave);
        return bucket < 0 ? 0 : bucket >= Count ? Count - 1 : bucket;
    }

    public static void Clear(ArrayView<long> shared)
    {
        for (int bucket = Group.IdxX; bucket < Count; bucket += GroupScan.Threads)
            shared[bucket] = 0;
        Group.Barrier();
    }

    /// <summary>
    /// Adds to an integer of 64 bits in shared memory, given as its words of 32: GPUs have no shared addition of 64 bits. The sum holds
    /// after the next barrier.
    /// </summary>
    public static void Add(ArrayView<int> words, int index, long weight)
    {
        uint low = (uint)(weight & uint.MaxValue);      // a cast alone ILGPU joins with that of a float, which then stops at 2^32
        int high = (int)(weight >> 32);
        uint before = (uint)GroupScope.FetchAdd(ref words[2 * index], (int)low);
        high += (int)(((ulong)before + low) >> 32);
        if (high != 0)
            GroupScope.FetchAdd(ref words[(2 * index) + 1], high);
    }

    /// <summary>The weight of this thread's buckets, of all that has been added.</summary>
    public static long OwnWeight(ArrayView<long> shared)
    {
        Group.Barrier();
        long own = 0;
        for (int i = 0; i < OfThread; i++)
            own += shared[(Group.IdxX * OfThread) + i];
        return own;
    }

    /// <summary>
    /// The first bucket up to which the weights reach the target; the last bucket where they never do. <paramref name="until"/>: what they
    /// come to with this thread's own.
    /// </summary>
    public static RankCut Find(ArrayView<long> shared, ArrayView<long> scan, long own, long until, long target)
    {
        long reached = until - own;
        bool never = until < target && Group.IdxX == GroupScan.Threads - 1;
        bool mine = never || (reached < target && target <= until);
        int bucket = Group.IdxX * OfThread;
        if (mine)
        {
            while (bucket < Count - 1 && reached + shared[bucket] < target)
                reached += shared[bucket++];
        }

        (long found, long weight) = GroupScan.Only(scan, mine, bucket, reached);
        return new RankCut(found, weight, target);
    }

    /// <summary>The least weight that is a share of the whole, and never none: the first in rank is always kept.</summary>
    public static long ShareOf(long whole, float share)
    {
        double exact = (double)share * whole;
        long least = (long)exact;
        if (least < exact)
            least++;
        return least < 1 ? 1 : least;
    }
}
