using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How four neighbouring keys of a state's value column lie in memory: the type parameter of everything that reads a state.</summary>
internal interface IDeltaStateFormat<TWord>
    where TWord : unmanaged
{
    static abstract Float4 Load(TWord stored);

    static abstract TWord Store(Float4 value);
}

/// <summary>Four floats.</summary>
internal readonly struct F32DeltaState : IDeltaStateFormat<Float4>
{
    public static Float4 Load(Float4 stored) => stored;

    public static Float4 Store(Float4 value) => value;
}

/// <summary>Four f16, the first in the lowest bits. What is beyond ±65504 becomes that; NaN stays NaN.</summary>
internal readonly struct F16DeltaState : IDeltaStateFormat<UInt2>
{
    private const float Largest = 65504;

    public static Float4 Load(UInt2 stored) => new(
        F16.ToFloat((ushort)stored.X), F16.ToFloat((ushort)(stored.X >> 16)),
        F16.ToFloat((ushort)stored.Y), F16.ToFloat((ushort)(stored.Y >> 16)));

    public static UInt2 Store(Float4 value) => new(Pair(value.X, value.Y), Pair(value.Z, value.W));

    /// <summary>The nearest number that f16 can hold a neighbour of.</summary>
    public static float Saturate(float value) => value > Largest ? Largest : value < -Largest ? -Largest : value;

    private static uint Pair(float low, float high) => F16.FromFloat(Saturate(low)) | ((uint)F16.FromFloat(Saturate(high)) << 16);
}

/// <summary>The same bits as <see cref="F16DeltaState"/>, by the conversions that devices with warps have.</summary>
internal readonly struct F16StepState : IDeltaStateFormat<UInt2>
{
    public static Float4 Load(UInt2 stored) => new(F16x2.Low(stored.X), F16x2.High(stored.X), F16x2.Low(stored.Y), F16x2.High(stored.Y));

    public static UInt2 Store(Float4 value) => new(Pair(value.X, value.Y), Pair(value.Z, value.W));

    private static uint Pair(float low, float high) => F16x2.Pack(F16DeltaState.Saturate(low), F16DeltaState.Saturate(high));
}

/// <summary>How two neighbouring keys of a state's value column lie in memory, as the lanes of an mma fragment hold them.</summary>
internal interface IDeltaStatePair<TPair>
    where TPair : unmanaged
{
    /// <summary>As two floats' bits.</summary>
    static abstract UInt2 Load(TPair stored);

    /// <summary>Of two values that <see cref="Round"/> gave.</summary>
    static abstract TPair Store(float even, float odd);

    /// <summary>What is left of four values after a way through memory.</summary>
    static abstract Float4 Round(Float4 values);
}

/// <summary>Two floats.</summary>
internal readonly struct F32StatePair : IDeltaStatePair<UInt2>
{
    public static UInt2 Load(UInt2 stored) => stored;

    public static UInt2 Store(float even, float odd) => new(Interop.FloatAsInt(even), Interop.FloatAsInt(odd));

    public static Float4 Round(Float4 values) => values;
}

/// <summary>Two f16, the same bits as <see cref="F16DeltaState"/>.</summary>
internal readonly struct F16StatePair : IDeltaStatePair<uint>
{
    public static UInt2 Load(uint stored) => new(Interop.FloatAsInt(F16x2.Low(stored)), Interop.FloatAsInt(F16x2.High(stored)));

    public static uint Store(float even, float odd) => F16x2.Pack(even, odd);

    public static Float4 Round(Float4 values) => F16StepState.Load(F16StepState.Store(values));
}
