namespace QwenIlgpu.Kernels;

/// <summary>Query heads of a kv head that a group of threads takes on.</summary>
internal interface IGroupHeads
{
    static abstract int Count { get; }
}

internal readonly struct OneHead : IGroupHeads
{
    public static int Count => 1;
}

internal readonly struct TwoHeads : IGroupHeads
{
    public static int Count => 2;
}
