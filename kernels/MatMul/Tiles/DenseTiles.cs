using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Plain row-major weights of the operand's own type. Of 32 k a lane loads k 8t … 8t + 7 of rows g and g + 8, 16 bytes each: as the
/// fragments of two steps that is another order of k, which x follows.
/// </summary>
internal readonly struct DenseTiles<TOperand> : IWeightTiles
    where TOperand : struct, IOperand16
{
    private const int LaneColumns = 8;

    public static int Columns => 4 * LaneColumns;

    public static bool TakesOctets => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile Load(WeightRows rows, int tile, bool present)
    {
        WeightTile loaded = default;
        int lane = Group.IdxX & 31;
        int word = (tile * 4) + (lane & 3);
        int row = lane >> 2;
        present &= word < rows.DenseStride;
        if (present && row < rows.Rows)
            loaded.Codes = GlobalLoad.Streaming(ref rows.Codes[(row * rows.DenseStride) + word]);
        if (present && row + 8 < rows.Rows)
            loaded.CodesBelow = GlobalLoad.Streaming(ref rows.Codes[((row + 8) * rows.DenseStride) + word]);
        return loaded;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WeightTile LoadScales(WeightRows rows, int tile, bool present) => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Prefetch(WeightRows rows, int tile, bool present)
    {
        int lane = Group.IdxX & 31;
        int word = (tile * 4) + (lane & 3);
        int row = lane >> 2;
        if (present && word < rows.DenseStride && row + 8 < rows.Rows)
        {
            GlobalLoad.PrefetchL2(ref rows.Codes[(row * rows.DenseStride) + word]);
            GlobalLoad.PrefetchL2(ref rows.Codes[((row + 8) * rows.DenseStride) + word]);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static OperandTile Convert(WeightRows rows, WeightTile loaded, int tile, bool present)
    {
        OperandTile operand = default;
        operand.Step0 = new UInt4(loaded.Codes.X, loaded.CodesBelow.X, loaded.Codes.Y, loaded.CodesBelow.Y);
        operand.Step1 = new UInt4(loaded.Codes.Z, loaded.CodesBelow.Z, loaded.Codes.W, loaded.CodesBelow.W);
        return operand;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 Add(Float4 total, OperandTile tile, UInt4 left, UInt4 right)
    {
        Float4 sum = TOperand.MultiplyAdd(tile.Step0, new UInt2(left.X, left.Y), default);
        return total + TOperand.MultiplyAdd(tile.Step1, new UInt2(left.Z, left.W), sum);
    }
}
