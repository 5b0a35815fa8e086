namespace QwenIlgpu.Kernels;

/// <summary>Where a ranking is cut: the bucket, the weight that ranks before it, and the weight that is kept at least.</summary>
internal readonly struct RankCut(long bucket, long before, long target)
{
    public readonly long Before = before;
    public readonly long Target = target;

    private readonly long bucket = bucket;

    public int Bucket => (int)bucket;
}
