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
