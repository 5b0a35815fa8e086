namespace QwenIlgpu.Kernels;

/// <summary>How one number is stored: a dense weight, or a quantised weight's scale.</summary>
internal enum WeightType
{
    F32,
    F16,
    Bf16,
}

/// <summary>16-bit scales on the host, by .NET's own Half where they are f16.</summary>
internal static class Scale16
{
    /// <summary>The largest finite scale.</summary>
    public static float Largest(WeightType type) => type == WeightType.F16 ? F16Format.Largest : Bf16Format.Largest;

    public static float ToFloat(ushort bits, WeightType type) =>
        type == WeightType.F16 ? (float)BitConverter.UInt16BitsToHalf(bits) : Bf16.ToFloat(bits);

    public static ushort FromFloat(float value, WeightType type) =>
        type == WeightType.F16 ? BitConverter.HalfToUInt16Bits((Half)value) : Bf16.FromFloat(value);
}
