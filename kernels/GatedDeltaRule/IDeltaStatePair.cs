using ILGPU;

namespace QwenIlgpu.Kernels;

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

    public static Float4 Round(Float4 values)
    {
        uint above = F16x2.Pack(F16DeltaState.Saturate(values.X), F16DeltaState.Saturate(values.Y));
        uint below = F16x2.Pack(F16DeltaState.Saturate(values.Z), F16DeltaState.Saturate(values.W));
        return new Float4(F16x2.Low(above), F16x2.High(above), F16x2.Low(below), F16x2.High(below));
    }
}
