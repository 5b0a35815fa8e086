using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Element type of the recurrent state that a sequence holds in each DeltaNet layer.</summary>
public enum DeltaStateType
{
    /// <summary>32-bit float: the default.</summary>
    F32,

    /// <summary>
    /// 16-bit float (IEEE half): half the memory and half the traffic; every decode step and every 64 tokens of a prompt round the state to 11
    /// bits.
    /// </summary>
    F16,

    /// <summary>Bfloat16: as <see cref="F16"/>, rounded to 8 bits, with the range of a 32-bit float.</summary>
    Bf16,
}

/// <summary>What each state type is made of.</summary>
internal static class DeltaStateTypes
{
    /// <summary>How the kernels know it.</summary>
    public static DeltaStateFormat Format(this DeltaStateType type) => type switch
    {
        DeltaStateType.F32 => DeltaStateFormat.F32,
        DeltaStateType.F16 => DeltaStateFormat.F16,
        DeltaStateType.Bf16 => DeltaStateFormat.Bf16,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no state type"),
    };

    /// <summary>Bytes of a number.</summary>
    public static int ElementBytes(this DeltaStateType type) => DeltaStates.ElementBytes(type.Format());
}
