using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 in groups of 64 · 2^n: a tile has one scale and one zero point a row. Zero points are brought into L2 with the tile and read when
/// it is used, or a thread would need more registers than there are.
/// </summary>
internal readonly struct Int4Tiles<TOperand> : IWeightTiles
    where TOperand : struct, IOperand16
{
    public static int Columns => Int4Layout.TileColumns;

    public static bool TakesOctets => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile Load(WeightRows rows, int tile, bool present)
    {
        UInt4 codes = GlobalLoad.StreamingIf(ref rows.Codes[tile * Int4Layout.TileLanes], present);
        WeightTile loaded = LoadScales(rows, tile, present);
        loaded.Codes = codes;
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        tile = present ? tile : 0;
        int scale = (tile >> rows.Columns.GroupShift) * Int4Layout.TileRows;
        loaded.ScaleAbove = rows.Scales[scale];
        loaded.ScaleBelow = rows.Scales[scale + 8];
        if (rows.Columns.IsSymmetric == 0)
            GlobalLoad.PrefetchL2(ref rows.Zeros[scale]);
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(WeightRows rows, int tile, bool present)
    {
        if (present)
            GlobalLoad.PrefetchL2(ref rows.Codes[tile * Int4Layout.TileLanes]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present)
    {
        uint zeroAbove = Int4Layout.Zero;
        uint zeroBelow = Int4Layout.Zero;
        if (rows.Columns.IsSymmetric == 0)
        {
            int zero = ((present ? tile : 0) >> rows.Columns.GroupShift) * Int4Layout.TileRows;
            zeroAbove = rows.Zeros[zero];
            zeroBelow = rows.Zeros[zero + 8];
        }

        uint above = TOperand.ZeroAbove(zeroAbove);
        uint below = TOperand.ZeroBelow(zeroBelow);
        OperandTile operand = default;
        operand.Step0 = TOperand.FromInt4(loaded.Codes.X, above, below);
        operand.Step1 = TOperand.FromInt4(loaded.Codes.Y, above, below);
        operand.Step2 = TOperand.FromInt4(loaded.Codes.Z, above, below);
        operand.Step3 = TOperand.FromInt4(loaded.Codes.W, above, below);
        operand.ScaleAbove = rows.Scale(loaded.ScaleAbove, present);
        operand.ScaleBelow = rows.Scale(loaded.ScaleBelow, present);
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = TOperand.MultiplyAdd(tile.Step0, new UInt2(left.X, left.Y), default);
        sum = TOperand.MultiplyAdd(tile.Step1, new UInt2(left.Z, left.W), sum);
        sum = TOperand.MultiplyAdd(tile.Step2, new UInt2(right.X, right.Y), sum);
        sum = TOperand.MultiplyAdd(tile.Step3, new UInt2(right.Z, right.W), sum);
        return OperandTile.AddScaled(total, sum, tile.ScaleAbove, tile.ScaleBelow);
    }
}

/// <summary>
/// INT4 in groups of 32: the two halves of a tile have scales and zero points of their own. Zero points are read when a tile is used.
/// </summary>
internal readonly struct Int4HalfTiles<TOperand> : IWeightTiles
    where TOperand : struct, IOperand16
{
    public static int Columns => Int4Layout.TileColumns;

    public static bool TakesOctets => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile Load(WeightRows rows, int tile, bool present)
    {
        UInt4 codes = GlobalLoad.StreamingIf(ref rows.Codes[tile * Int4Layout.TileLanes], present);
        WeightTile loaded = LoadScales(rows, tile, present);
        loaded.Codes = codes;
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        tile = present ? tile : 0;
        int first = FirstGroup(tile);
        int second = SecondGroup(rows, tile);
        loaded.ScaleAbove = rows.Scales[first];
        loaded.ScaleBelow = rows.Scales[first + 8];
        loaded.SecondScaleAbove = rows.Scales[second];
        loaded.SecondScaleBelow = rows.Scales[second + 8];
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(WeightRows rows, int tile, bool present)
    {
        if (present)
            GlobalLoad.PrefetchL2(ref rows.Codes[tile * Int4Layout.TileLanes]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present)
    {
        uint zero0 = Int4Layout.Zero;
        uint zero1 = Int4Layout.Zero;
        uint zero2 = Int4Layout.Zero;
        uint zero3 = Int4Layout.Zero;
        if (rows.Columns.IsSymmetric == 0)
        {
            int first = FirstGroup(present ? tile : 0);
            int second = SecondGroup(rows, present ? tile : 0);
            zero0 = rows.Zeros[first];
            zero1 = rows.Zeros[first + 8];
            zero2 = rows.Zeros[second];
            zero3 = rows.Zeros[second + 8];
        }

        uint above = TOperand.ZeroAbove(zero0);
        uint below = TOperand.ZeroBelow(zero1);
        uint secondAbove = TOperand.ZeroAbove(zero2);
        uint secondBelow = TOperand.ZeroBelow(zero3);
        OperandTile operand = default;
        operand.Step0 = TOperand.FromInt4(loaded.Codes.X, above, below);
        operand.Step1 = TOperand.FromInt4(loaded.Codes.Y, above, below);
        operand.Step2 = TOperand.FromInt4(loaded.Codes.Z, secondAbove, secondBelow);
        operand.Step3 = TOperand.FromInt4(loaded.Codes.W, secondAbove, secondBelow);
        operand.ScaleAbove = rows.Scale(loaded.ScaleAbove, present);
        operand.ScaleBelow = rows.Scale(loaded.ScaleBelow, present);
        operand.SecondScaleAbove = rows.Scale(loaded.SecondScaleAbove, present);
        operand.SecondScaleBelow = rows.Scale(loaded.SecondScaleBelow, present);
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = TOperand.MultiplyAdd(tile.Step0, new UInt2(left.X, left.Y), default);
        sum = TOperand.MultiplyAdd(tile.Step1, new UInt2(left.Z, left.W), sum);
        total = OperandTile.AddScaled(total, sum, tile.ScaleAbove, tile.ScaleBelow);
        sum = TOperand.MultiplyAdd(tile.Step2, new UInt2(right.X, right.Y), default);
        sum = TOperand.MultiplyAdd(tile.Step3, new UInt2(right.Z, right.W), sum);
        return OperandTile.AddScaled(total, sum, tile.SecondScaleAbove, tile.SecondScaleBelow);
    }

    private static int FirstGroup(int tile) => ScaleOf(2 * tile);

    // Past the last group x is zero.
    private static int SecondGroup(WeightRows rows, int tile) =>
        (2 * tile) + 1 < rows.Columns.Groups ? ScaleOf((2 * tile) + 1) : ScaleOf(2 * tile);

    // Index of a group's first scale and zero point.
    private static int ScaleOf(int group) => group * Int4Layout.TileRows;
}
