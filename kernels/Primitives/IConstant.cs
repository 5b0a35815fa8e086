namespace QwenIlgpu.Kernels;

/// <summary>A number that a kernel is compiled for, as a type argument: ILGPU has no constant ones.</summary>
internal interface IConstant
{
    static abstract int Value { get; }
}

internal readonly struct One : IConstant
{
    public static int Value => 1;
}

internal readonly struct Two : IConstant
{
    public static int Value => 2;
}

internal readonly struct Eight : IConstant
{
    public static int Value => 8;
}

internal readonly struct Dim64 : IConstant
{
    public static int Value => 64;
}

internal readonly struct Dim128 : IConstant
{
    public static int Value => 128;
}
