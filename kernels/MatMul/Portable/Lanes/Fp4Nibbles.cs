using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// FP4's sixteen lanes are of the four steps of a tile by turns: a row has its four scales side by side. The weights are scale · value,
/// exactly; the global scale is for whole sums.
/// </summary>
internal readonly unsafe struct Fp4Nibbles : INibbleWeights
{
    private const int RowNumbers = 4;
    private const int TileNumbers = RowNumbers * LaneSums.Rows;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Prepare(in CpuWeights w, long rowTile, int from, int to, float* numbers)
    {
        ushort* slots = w.Scales + (((rowTile * w.Groups) + Fp4Layout.GlobalSlots) * LaneSums.Rows);
        for (int k = from; k < to; k += Int4Layout.TileColumns)
        {
            ushort* slot = slots + (k / Int4Layout.TileColumns * Fp4Layout.TileSlots * LaneSums.Rows);
            Vector256<ushort> first = Vector256.Load(slot);
            Vector256<ushort> second = Vector256.Load(slot + LaneSums.Rows);
            Transpose(Scales(first), Scales(first >>> 8), Scales(second), Scales(second >>> 8), numbers);
            numbers += TileNumbers;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float* OfTile(in CpuWeights w, float* numbers, int from, int k) =>
        numbers + ((k - from) / Int4Layout.TileColumns * TileNumbers);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(float* numbers, int row) => HalfTileNibbles.Repeat(numbers + (row * RowNumbers));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(float* numbers, int row) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Weights(Vector512<uint> words, Vector512<float> first, Vector512<float> second)
    {
        if (Avx512F.IsSupported)
            return Avx512F.PermuteVar16x32(Values, words.AsInt32()) * first;

        // A permutation of eight sees the lowest three bits.
        Vector256<float> magnitudes = Vector256.Create(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);
        var looked = Vector512.Create(
            Avx2.PermuteVar8x32(magnitudes, words.GetLower().AsInt32()), Avx2.PermuteVar8x32(magnitudes, words.GetUpper().AsInt32()));
        return (looked.AsUInt32() | ((words & Vector512.Create(8u)) << 28)).AsSingle() * first;
    }

    private static Vector512<float> Values => Vector512.Create(0f, 0.5f, 1, 1.5f, 2, 3, 4, 6, -0f, -0.5f, -1, -1.5f, -2, -3, -4, -6);

    // Of the lower bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Scales(Vector256<ushort> bytes)
    {
        (Vector256<uint> low, Vector256<uint> high) = Vector256.Widen(bytes);
        return Fp8Codes.Weights(Vector512.Create(low, high).AsInt32() << 24);
    }

    // Of each row r the four floats a[r], b[r], c[r], d[r].
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(Vector512<float> a, Vector512<float> b, Vector512<float> c, Vector512<float> d, float* numbers)
    {
        TransposeFour(a.GetLower().GetLower(), b.GetLower().GetLower(), c.GetLower().GetLower(), d.GetLower().GetLower(), numbers);
        TransposeFour(a.GetLower().GetUpper(), b.GetLower().GetUpper(), c.GetLower().GetUpper(), d.GetLower().GetUpper(), numbers + 16);
        TransposeFour(a.GetUpper().GetLower(), b.GetUpper().GetLower(), c.GetUpper().GetLower(), d.GetUpper().GetLower(), numbers + 32);
        TransposeFour(a.GetUpper().GetUpper(), b.GetUpper().GetUpper(), c.GetUpper().GetUpper(), d.GetUpper().GetUpper(), numbers + 48);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void TransposeFour(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d, float* numbers)
    {
        Vector128<float> ab = Sse.UnpackLow(a, b);
        Vector128<float> cd = Sse.UnpackLow(c, d);
        Sse.MoveLowToHigh(ab, cd).StoreAligned(numbers);
        Sse.MoveHighToLow(cd, ab).StoreAligned(numbers + RowNumbers);
        ab = Sse.UnpackHigh(a, b);
        cd = Sse.UnpackHigh(c, d);
        Sse.MoveLowToHigh(ab, cd).StoreAligned(numbers + (2 * RowNumbers));
        Sse.MoveHighToLow(cd, ab).StoreAligned(numbers + (3 * RowNumbers));
    }
}
