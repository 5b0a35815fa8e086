namespace QwenIlgpu.Kernels;

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
