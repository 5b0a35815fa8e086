using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>FP8 in groups of 32 · 2^n or one a row, as bf16, which holds every E4M3 number.</summary>
internal readonly struct Fp8Tiles : IWeightTiles
{
    public static int Columns => Int8Layout.TileColumns;

    public static bool TakesOctets => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile Load(WeightRows rows, int tile, bool present)
    {
        UInt4 codes = GlobalLoad.StreamingIf(ref rows.Codes[tile * Int8Layout.TileLanes], present);
        WeightTile loaded = LoadScales(rows, tile, present);
        loaded.Codes = codes;
        return loaded;
    }

    // A scale is two elements of the view, which begins g elements into the first tile's: one of row g lies g further.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        int g = (Group.IdxX & 31) >> 2;
        ArrayView<uint> scales = rows.Scales.SubView(g, rows.Scales.Length - g).Cast<uint>();
        int scale = ((present ? tile : 0) >> rows.Columns.GroupShift) * Int8Layout.TileRows;
        loaded.ScaleAbove = scales[scale];
        loaded.ScaleBelow = scales[scale + 8];
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(WeightRows rows, int tile, bool present)
    {
        if (present)
            GlobalLoad.PrefetchL2(ref rows.Codes[tile * Int8Layout.TileLanes]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present)
    {
        OperandTile operand = default;
        operand.Step0 = Bf16Operand.FromFp8(loaded.Codes.X, loaded.Codes.Y);
        operand.Step1 = Bf16Operand.FromFp8(loaded.Codes.Z, loaded.Codes.W);
        operand.ScaleAbove = present ? Interop.IntAsFloat(loaded.ScaleAbove) : 0;
        operand.ScaleBelow = present ? Interop.IntAsFloat(loaded.ScaleBelow) : 0;
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = Mma.Bf16(tile.Step0, new UInt2(left.X, left.Y), default);
        sum = Mma.Bf16(tile.Step1, new UInt2(left.Z, left.W), sum);
        return OperandTile.AddScaled(total, sum, tile.ScaleAbove, tile.ScaleBelow);
    }
}
