namespace QwenIlgpu.Kernels;

/// <summary>How a number lies in memory: the type parameter by which one kernel serves every storage type.</summary>
internal interface INumberFormat<TStorage>
    where TStorage : unmanaged
{
    static abstract float Load(TStorage stored);

    static abstract TStorage Store(float value);
}

internal readonly struct Bf16Format : INumberFormat<ushort>
{
    public static float Load(ushort stored) => Bf16.ToFloat(stored);

    public static ushort Store(float value) => Bf16.FromFloat(value);
}

internal readonly struct F16Format : INumberFormat<ushort>
{
    public static float Load(ushort stored) => F16.ToFloat(stored);

    public static ushort Store(float value) => F16.FromFloat(value);
}
