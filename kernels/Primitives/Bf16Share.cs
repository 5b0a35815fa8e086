using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Floats to bfloat16 and back, sixteen at a time.</summary>
internal static unsafe class Bf16Share
{
    /// <summary>Rounds to nearest, ties to even. NaN stays NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Round(float* source, ushort* target, int count)
    {
        int i = 0;
        for (; i + (2 * CpuVectors.Width) <= count; i += 2 * CpuVectors.Width)
            Vector512.Narrow(Rounded(source + i), Rounded(source + i + CpuVectors.Width)).Store(target + i);
        for (; i < count; i++)
            target[i] = Bf16.FromFloat(source[i]);
    }

    /// <summary>Exactly the stored values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Widen(ushort* source, float* target, int count)
    {
        int i = 0;
        for (; i + CpuVectors.Width <= count; i += CpuVectors.Width)
        {
            Vector256<ushort> bits = Vector256.Load(source + i);
            Vector512<uint> words = Vector512.Create(Vector256.WidenLower(bits), Vector256.WidenUpper(bits));
            (words << 16).AsSingle().Store(target + i);
        }

        for (; i < count; i++)
            target[i] = Bf16.ToFloat(source[i]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<uint> Rounded(float* source)
    {
        Vector512<float> value = Vector512.Load(source);
        Vector512<uint> bits = value.AsUInt32();
        Vector512<uint> upper = bits >> 16;
        Vector512<uint> rounded = (bits + Vector512.Create(0x7fffu) + (upper & Vector512<uint>.One)) >> 16;
        return Vector512.ConditionalSelect(Vector512.Equals(value, value).AsUInt32(), rounded, upper | Vector512.Create(0x40u));
    }
}
