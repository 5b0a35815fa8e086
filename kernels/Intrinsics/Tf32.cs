using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>tf32: a float whose lower 13 bits are zero.</summary>
[EmulatedBy(typeof(Tf32Emulation))]
internal static class Tf32
{
    /// <summary>The bits that an operand of <see cref="Mma.Tf32"/> is read by.</summary>
    public const uint Mask = 0xffffe000u;

    /// <summary>Rounds to nearest, ties away from zero.</summary>
    [IntrinsicImplementation, Ptx("cvt.rna.tf32.f32 $d, $0;"), MethodImpl(MethodImplOptions.NoInlining)]
    public static uint FromFloat(float value) => Tf32Emulation.FromFloat(value);
}

/// <summary>What <see cref="Tf32"/> does, exactly; NaN is 0x7fffffff as the hardware has it.</summary>
internal static class Tf32Emulation
{
    private const uint HalfStep = 0x1000u;
    private const uint Infinity = 0x7f800000u;

    public static uint FromFloat(float value)
    {
        uint bits = Interop.FloatAsInt(value);
        uint magnitude = bits & 0x7fffffffu;
        if (magnitude > Infinity)
            return 0x7fffffffu;
        return magnitude == Infinity ? bits : (bits + HalfStep) & Tf32.Mask;
    }
}
