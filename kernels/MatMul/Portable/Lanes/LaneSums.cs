using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen sums of sixteen lanes each, one a row of a row tile: 1 KB side by side.</summary>
internal static unsafe class LaneSums
{
    public const int Rows = 16;

    /// <summary>Floats of the sixteen.</summary>
    public const int Floats = Rows * CpuVectors.Width;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Clear(float* sums)
    {
        for (int i = 0; i < Floats; i += CpuVectors.Width)
            Vector512<float>.Zero.StoreAligned(sums + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Add(float* sums, float* totals)
    {
        for (int i = 0; i < Floats; i += CpuVectors.Width)
            (Vector512.LoadAligned(totals + i) + Vector512.LoadAligned(sums + i)).StoreAligned(totals + i);
    }

    /// <summary>A row's total and its sums times a scale, which is 1 where the weights have theirs already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void AddScaled(Vector512<float> sums, float scale, float* total) =>
        Vector512.FusedMultiplyAdd(sums, Vector512.Create(scale), Vector512.LoadAligned(total)).StoreAligned(total);

    /// <summary>Each row's sum: lanes 0 … 7 to 8 … 15, then neighbours, then pairs, then fours.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> OfRows(float* totals) =>
        Vector512.Create(OfEightRows(totals), OfEightRows(totals + (Floats / 2)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> OfEightRows(float* totals)
    {
        Vector256<float> low = Avx.HorizontalAdd(
            Avx.HorizontalAdd(Halves(totals), Halves(totals + 16)), Avx.HorizontalAdd(Halves(totals + 32), Halves(totals + 48)));
        totals += 64;
        Vector256<float> high = Avx.HorizontalAdd(
            Avx.HorizontalAdd(Halves(totals), Halves(totals + 16)), Avx.HorizontalAdd(Halves(totals + 32), Halves(totals + 48)));
        return Avx.Permute2x128(low, high, 0x20) + Avx.Permute2x128(low, high, 0x31);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Halves(float* row) => Vector256.LoadAligned(row) + Vector256.LoadAligned(row + 8);
}
