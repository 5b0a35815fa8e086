using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>INT8 in groups of 32 · 2^n or one a row.</summary>
internal readonly struct Int8Tiles<TOperand> : IWeightTiles
    where TOperand : struct, IOperand16
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

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        tile = present ? tile : 0;
        int scale = (tile >> rows.Columns.GroupShift) * Int8Layout.TileRows;
        loaded.ScaleAbove = rows.Scales[scale];
        loaded.ScaleBelow = rows.Scales[scale + 8];
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
        operand.Step0 = TOperand.FromInt8(loaded.Codes.X, loaded.Codes.Y);
        operand.Step1 = TOperand.FromInt8(loaded.Codes.Z, loaded.Codes.W);
        operand.ScaleAbove = rows.Scale(loaded.ScaleAbove, present);
        operand.ScaleBelow = rows.Scale(loaded.ScaleBelow, present);
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = TOperand.MultiplyAdd(tile.Step0, new UInt2(left.X, left.Y), default);
        sum = TOperand.MultiplyAdd(tile.Step1, new UInt2(left.Z, left.W), sum);
        return OperandTile.AddScaled(total, sum, tile.ScaleAbove, tile.ScaleBelow);
    }
}
