using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen f16 as floats, exactly, subnormals, infinities and NaN included; see <see cref="F16.ToFloat"/>.</summary>
internal static class F16Lanes
{
    /// <summary>Of each word's upper half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Upper(Vector512<uint> words)
    {
        Vector512<uint> magnitude = (words & Vector512.Create(0x7fff0000u)) >>> 3;
        Vector512<uint> value = (magnitude.AsSingle() * Vector512.Create(5.192296858534828e33f)).AsUInt32();    // 2^112
        Vector512<uint> beyond = Vector512.GreaterThan(magnitude.AsInt32(), Vector512.Create(0x0f7fffff)).AsUInt32();
        return (value | (beyond & Vector512.Create(0x7f800000u)) | (words & Vector512.Create(0x80000000u))).AsSingle();
    }

    /// <summary>Of each word's lower half.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Lower(Vector512<uint> words) => Upper(words << 16);
}
