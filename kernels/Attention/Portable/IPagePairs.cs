using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How 32 neighbouring elements of a page become two vectors, and in which order: the type parameter by which one share reads every page
/// type. Queries and sums lie in the same order.
/// </summary>
internal unsafe interface IPagePairs
{
    static abstract int ElementBytes { get; }

    static abstract Vector512<float> First(byte* elements);

    static abstract Vector512<float> Second(byte* elements);

    /// <summary>Where in its 32 elements element i of the two vectors is.</summary>
    static abstract int ElementOf(int i);
}

/// <summary>Sixteen floats and the next sixteen.</summary>
internal readonly unsafe struct F32PagePairs : IPagePairs
{
    public static int ElementBytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Vector512.Load((float*)elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => Vector512.Load((float*)elements + CpuVectors.Width);

    public static int ElementOf(int i) => i;
}

/// <summary>The even bfloat16, then the odd: a word of two becomes either by one instruction.</summary>
internal readonly unsafe struct Bf16PagePairs : IPagePairs
{
    public static int ElementBytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => (Vector512.Load((uint*)elements) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => (Vector512.Load((uint*)elements) & Vector512.Create(0xffff0000u)).AsSingle();

    public static int ElementOf(int i) => (i % CpuVectors.Width * 2) + (i / CpuVectors.Width);
}
