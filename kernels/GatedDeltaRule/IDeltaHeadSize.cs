namespace QwenIlgpu.Kernels;

/// <summary>Size of the key and value heads of a delta net layer, as a constant.</summary>
internal interface IDeltaHeadSize
{
    static abstract int Dim { get; }
}

internal readonly struct DeltaHead64 : IDeltaHeadSize
{
    public static int Dim => 64;
}

internal readonly struct DeltaHead128 : IDeltaHeadSize
{
    public static int Dim => 128;
}
