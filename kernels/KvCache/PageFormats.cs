using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How keys and values lie in a page: the type parameter by which one kernel serves every page type. Elements are written one by one, and
/// read in words of sixteen bytes by any accelerator; CPU threads write rows and read 32 elements at a time.
/// </summary>
internal unsafe interface IPageFormat<TStorage> : INumberFormat<TStorage>
    where TStorage : unmanaged
{
    /// <summary>Elements 8 · eight to 8 · eight + 7.</summary>
    static abstract Float8 Load(ArrayView<UInt4> words, int eight);

    /// <summary>Neighbouring elements, each as <see cref="INumberFormat{TStorage}.Store"/> gives it.</summary>
    static abstract void Store(float* source, TStorage* target, int count);

    /// <summary>The first of the two vectors that 32 neighbouring elements become.</summary>
    static abstract Vector512<float> First(byte* elements);

    static abstract Vector512<float> Second(byte* elements);

    /// <summary>Where in its 32 elements element i of the two vectors is; queries and sums lie in the same order.</summary>
    static abstract int ElementOf(int i);
}

/// <summary>Four floats a word; on a CPU sixteen and the next sixteen.</summary>
internal readonly unsafe struct F32PageFormat : IPageFormat<float>
{
    public static float Load(float stored) => stored;

    public static float Store(float value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> words, int eight) => new(Floats(words[2 * eight]), Floats(words[(2 * eight) + 1]));

    public static void Store(float* source, float* target, int count) => new Span<float>(source, count).CopyTo(new Span<float>(target, count));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Vector512.Load((float*)elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => Vector512.Load((float*)elements + CpuVectors.Width);

    public static int ElementOf(int i) => i;

    private static Float4 Floats(UInt4 word) =>
        new(Interop.IntAsFloat(word.X), Interop.IntAsFloat(word.Y), Interop.IntAsFloat(word.Z), Interop.IntAsFloat(word.W));
}

/// <summary>
/// Eight bfloat16 a word, the earlier of two in the lower half; on a CPU the even ones, then the odd: a word of two becomes either by one
/// instruction.
/// </summary>
internal readonly unsafe struct Bf16PageFormat : IPageFormat<ushort>
{
    public static float Load(ushort stored) => Bf16.ToFloat(stored);

    public static ushort Store(float value) => Bf16.FromFloat(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> words, int eight)
    {
        UInt4 word = words[eight];
        return new Float8(
            new Float4(Even(word.X), Odd(word.X), Even(word.Y), Odd(word.Y)), new Float4(Even(word.Z), Odd(word.Z), Even(word.W), Odd(word.W)));
    }

    public static void Store(float* source, ushort* target, int count) => Bf16Share.Round(source, target, count);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => (Vector512.Load((uint*)elements) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => (Vector512.Load((uint*)elements) & Vector512.Create(0xffff0000u)).AsSingle();

    public static int ElementOf(int i) => (i % CpuVectors.Width * 2) + (i / CpuVectors.Width);

    private static float Even(uint pair) => Interop.IntAsFloat(pair << 16);

    private static float Odd(uint pair) => Interop.IntAsFloat(pair & 0xffff0000u);
}
