using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How the numbers of a recurrent state lie in device memory.</summary>
internal enum DeltaStateFormat
{
    /// <summary>Floats: <see cref="F32State"/>.</summary>
    F32,

    /// <summary>Half the bytes: <see cref="F16State"/>.</summary>
    F16,

    /// <summary>Half the bytes, and every size of number that floats have: <see cref="Bf16State"/>.</summary>
    Bf16,
}

/// <summary>
/// The type parameter of everything that reads or writes a state. <typeparamref name="TWord"/>: four neighbouring keys of a value column,
/// loaded and stored at once.
/// </summary>
internal interface IDeltaStateFormat<TWord>
    where TWord : unmanaged
{
    static abstract DeltaStateFormat Format { get; }

    static abstract Float4 Load(TWord stored);

    static abstract TWord Store(Float4 value);

    /// <summary>Keys 2 · pair and 2 · pair + 1 of a slot, as the lanes of an mma fragment hold them.</summary>
    static abstract Float2 LoadPair(ArrayView<TWord> slot, int pair);

    /// <summary>Stores two values that a <see cref="Load"/> of what <see cref="Store"/> gave has left.</summary>
    static abstract void StorePair(ArrayView<TWord> slot, int pair, float even, float odd);
}

/// <summary>Four floats.</summary>
internal readonly struct F32State : IDeltaStateFormat<Float4>
{
    public static DeltaStateFormat Format => DeltaStateFormat.F32;

    public static Float4 Load(Float4 stored) => stored;

    public static Float4 Store(Float4 value) => value;

    public static Float2 LoadPair(ArrayView<Float4> slot, int pair) => slot.Cast<Float2>()[pair];

    public static void StorePair(ArrayView<Float4> slot, int pair, float even, float odd) => slot.Cast<Float2>()[pair] = new Float2(even, odd);
}

/// <summary>Four f16, the first in the lowest bits. What is beyond ±65504 becomes that; NaN stays NaN.</summary>
internal readonly struct F16State : IDeltaStateFormat<UInt2>
{
    private const float Largest = 65504;

    public static DeltaStateFormat Format => DeltaStateFormat.F16;

    public static Float4 Load(UInt2 stored) => new(F16x2.Low(stored.X), F16x2.High(stored.X), F16x2.Low(stored.Y), F16x2.High(stored.Y));

    public static UInt2 Store(Float4 value) => new(
        F16x2.Pack(Saturate(value.X), Saturate(value.Y)), F16x2.Pack(Saturate(value.Z), Saturate(value.W)));

    public static Float2 LoadPair(ArrayView<UInt2> slot, int pair)
    {
        uint stored = slot.Cast<uint>()[pair];
        return new Float2(F16x2.Low(stored), F16x2.High(stored));
    }

    public static void StorePair(ArrayView<UInt2> slot, int pair, float even, float odd) => slot.Cast<uint>()[pair] = F16x2.Pack(even, odd);

    /// <summary>The nearest number that f16 can hold a neighbour of.</summary>
    public static float Saturate(float value) => value > Largest ? Largest : value < -Largest ? -Largest : value;
}

/// <summary>Four bf16, the first in the lowest bits, rounded to nearest, ties to even. NaN stays NaN.</summary>
internal readonly struct Bf16State : IDeltaStateFormat<UInt2>
{
    public static DeltaStateFormat Format => DeltaStateFormat.Bf16;

    public static Float4 Load(UInt2 stored) => new(Low(stored.X), High(stored.X), Low(stored.Y), High(stored.Y));

    public static UInt2 Store(Float4 value) => new(Bf16x2.Pack(value.X, value.Y), Bf16x2.Pack(value.Z, value.W));

    public static Float2 LoadPair(ArrayView<UInt2> slot, int pair)
    {
        uint stored = slot.Cast<uint>()[pair];
        return new Float2(Low(stored), High(stored));
    }

    public static void StorePair(ArrayView<UInt2> slot, int pair, float even, float odd) => slot.Cast<uint>()[pair] = Bf16x2.Pack(even, odd);

    private static float Low(uint pair) => Interop.IntAsFloat(pair << 16);

    private static float High(uint pair) => Interop.IntAsFloat(pair & 0xffff0000u);
}
