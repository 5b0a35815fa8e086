namespace QwenIlgpu.Kernels;

/// <summary>A head size that a kernel is compiled for: a power of two from 64 to 256.</summary>
internal interface IHeadSize
{
    static abstract int Dim { get; }
}

internal readonly struct Head64 : IHeadSize
{
    public static int Dim => 64;
}

internal readonly struct Head128 : IHeadSize
{
    public static int Dim => 128;
}

internal readonly struct Head256 : IHeadSize
{
    public static int Dim => 256;
}
