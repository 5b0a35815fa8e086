using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// <see cref="IDeltaStateFormat{TWord}"/> with the hardware's conversions, in two steps: what a load brings, and the floats it means.
/// </summary>
internal interface IDeltaStepState<TWord>
    where TWord : unmanaged
{
    /// <summary>A stored word in registers; parts that the type does not need are zero.</summary>
    static abstract Float4 Fetch(TWord stored);

    static abstract Float4 Widen(Float4 fetched);

    static abstract TWord Store(Float4 value);
}

/// <summary>Four floats.</summary>
internal readonly struct F32StepState : IDeltaStepState<Float4>
{
    public static Float4 Fetch(Float4 stored) => stored;

    public static Float4 Widen(Float4 fetched) => fetched;

    public static Float4 Store(Float4 value) => value;
}

/// <summary>Four f16, the same bits as <see cref="F16DeltaState"/>: two pairs lie in X and Y until they are widened.</summary>
internal readonly struct F16StepState : IDeltaStepState<UInt2>
{
    public static Float4 Fetch(UInt2 stored) => new(Interop.IntAsFloat(stored.X), Interop.IntAsFloat(stored.Y), 0, 0);

    public static Float4 Widen(Float4 fetched)
    {
        uint low = Interop.FloatAsInt(fetched.X);
        uint high = Interop.FloatAsInt(fetched.Y);
        return new Float4(F16x2.Low(low), F16x2.High(low), F16x2.Low(high), F16x2.High(high));
    }

    public static UInt2 Store(Float4 value) => new(Pair(value.X, value.Y), Pair(value.Z, value.W));

    private static uint Pair(float low, float high) => F16x2.Pack(F16DeltaState.Saturate(low), F16DeltaState.Saturate(high));
}
