namespace QwenIlgpu.Kernels;

/// <summary>How a number lies in memory: the type parameter by which one kernel serves every storage type.</summary>
internal interface INumberFormat<TStorage>
    where TStorage : unmanaged
{
    static abstract float Load(TStorage stored);

    static abstract TStorage Store(float value);
}

/// <summary>A format of scales, which must stay finite.</summary>
internal interface IScaleFormat : INumberFormat<ushort>
{
    /// <summary>The largest finite number.</summary>
    static abstract float Largest { get; }
}

internal readonly struct Bf16Format : IScaleFormat
{
    public static float Largest => 3.3895314e38f;

    public static float Load(ushort stored) => Bf16.ToFloat(stored);

    public static ushort Store(float value) => Bf16.FromFloat(value);
}

internal readonly struct F16Format : IScaleFormat
{
    public static float Largest => 65504;

    public static float Load(ushort stored) => F16.ToFloat(stored);

    public static ushort Store(float value) => F16.FromFloat(value);
}
