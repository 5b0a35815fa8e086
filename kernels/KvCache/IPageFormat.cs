using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How sixteen-byte words of a page hold elements: the type parameter by which one kernel reads every page type.</summary>
internal interface IPageFormat<TWord>
    where TWord : unmanaged
{
    /// <summary>Elements 8 · eight to 8 · eight + 7.</summary>
    static abstract Float8 Load(ArrayView<TWord> words, int eight);
}

/// <summary>Four floats a word.</summary>
internal readonly struct F32PageFormat : IPageFormat<Float4>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<Float4> words, int eight) => new(words[2 * eight], words[(2 * eight) + 1]);
}

/// <summary>Eight bfloat16 a word, the earlier of two in the lower half.</summary>
internal readonly struct Bf16PageFormat : IPageFormat<UInt4>
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float8 Load(ArrayView<UInt4> words, int eight)
    {
        UInt4 word = words[eight];
        return new Float8(
            new Float4(Even(word.X), Odd(word.X), Even(word.Y), Odd(word.Y)), new Float4(Even(word.Z), Odd(word.Z), Even(word.W), Odd(word.W)));
    }

    private static float Even(uint pair) => Interop.IntAsFloat(pair << 16);

    private static float Odd(uint pair) => Interop.IntAsFloat(pair & 0xffff0000u);
}
