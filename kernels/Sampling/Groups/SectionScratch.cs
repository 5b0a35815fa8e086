using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the group kernels of sampling hand to one another within a step. A task is a row's sampling, or from task R on the
/// log-probabilities of row task − R.
/// </summary>
internal readonly struct SectionScratch
{
    /// <summary>[2R, sections] first in rank of each section, see <see cref="RankedToken"/>.</summary>
    public readonly Matrix<ulong> SectionFirst;

    /// <summary>[2R] first in rank.</summary>
    public readonly ArrayView<ulong> First;

    /// <summary>[2R, sections] mass of each section: of all that min-p keeps, or of what lies in the buckets before the cut.</summary>
    public readonly Matrix<long> Mass;

    /// <summary>[2R, buckets] how many tokens, or which mass, each of <see cref="RankBuckets"/> holds.</summary>
    public readonly Matrix<long> Weights;

    /// <summary>[2R] where the ranking is cut.</summary>
    public readonly ArrayView<RankCut> Cut;

    /// <summary>[2R, capacity] tokens around the cut, in any order.</summary>
    public readonly Matrix<ulong> Listed;

    /// <summary>[2R] how many there are, or would be if they had room.</summary>
    public readonly ArrayView<int> ListedCount;

    public SectionScratch(Sections sections, int rows)
    {
        int tasks = 2 * rows;
        SectionFirst = sections.Next<ulong>(tasks, VocabularySections.Most);
        First = sections.Next<ulong>(tasks);
        Mass = sections.Next<long>(tasks, VocabularySections.Most);
        Weights = sections.Next<long>(tasks, RankBuckets.Count);
        Cut = sections.Next<RankCut>(tasks);
        Listed = sections.Next<ulong>(tasks, RankedList.Capacity);
        ListedCount = sections.Next<int>(tasks);
    }
}

/// <summary>Where a ranking is cut: the bucket, the weight that ranks before it, and the weight that is kept at least.</summary>
internal readonly struct RankCut(long bucket, long before, long target)
{
    public readonly long Before = before;
    public readonly long Target = target;

    private readonly long bucket = bucket;

    /// <summary>Makes it 32 bytes: a section begins at a multiple of 256, a view of elements only at a multiple of theirs.</summary>
    public readonly long Padding = 0;

    public int Bucket => (int)bucket;
}
