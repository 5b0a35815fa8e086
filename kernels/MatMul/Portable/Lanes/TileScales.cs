using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>The 16-bit scales and byte zero points of a row tile's group as floats, row by row.</summary>
internal static unsafe class TileScales
{
    /// <summary>Scales of the rows 0 … 15 of a group.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Scales(in CpuWeights w, long rowTile, int group)
    {
        Vector256<ushort> stored = Vector256.Load(w.Scales + (((rowTile * w.Groups) + group) * LaneSums.Rows));
        (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(stored);
        Vector512<uint> words = Vector512.Create(low, high);
        return w.HasF16Scales ? F16Lanes.Lower(words) : (words << 16).AsSingle();
    }

    /// <summary>The same times a unit, left in memory. By itself: with AVX2 the compiler expands it only in methods that are not too long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public static void Store(in CpuWeights w, long rowTile, int group, float unit, float* scales) =>
        (Scales(w, rowTile, group) * Vector512.Create(unit)).StoreAligned(scales);

    /// <summary>Their zero points.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Zeros(in CpuWeights w, long rowTile, int group) =>
        w.Zeros == null ? Vector512.Create((float)Int4Layout.Zero) : Vector512.ConvertToSingle(ZeroCodes(w, rowTile, group));

    /// <summary>Their zero points as integers, of weights that store them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> ZeroCodes(in CpuWeights w, long rowTile, int group)
    {
        Vector128<byte> stored = Vector128.Load(w.Zeros + (((rowTile * w.Groups) + group) * LaneSums.Rows));
        (Vector128<ushort> low, Vector128<ushort> high) = Vector128.Widen(stored);
        (Vector256<uint> first, Vector256<uint> last) = Vector256.Widen(Vector256.Create(low, high));
        return Vector512.Create(first, last).AsInt32();
    }
}
