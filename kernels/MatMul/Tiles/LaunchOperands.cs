using System.Numerics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A launch's operands as its kernel takes them; what is not there is an empty view of what is.</summary>
internal readonly struct LaunchOperands
{
    private readonly ArrayView<float> anything;
    private readonly MatMulScratch scratch;
    private readonly TileCut cut;
    private readonly int tokens;

    public LaunchOperands(ArrayView<float> anything, MatMulScratch scratch, TileCut cut, int tokens) =>
        (this.anything, this.scratch, this.cut, this.tokens) = (anything, scratch, cut, tokens);

    /// <summary>Where the rows are packed to.</summary>
    public ArrayView<UInt4> Packed => Area(0, cut.PackedFloats).Cast<UInt4>();

    /// <summary>[M, units]</summary>
    public Matrix<ulong> Best => cut.BestFloats == 0
        ? new Matrix<ulong>(anything.SubView(0, 0).Cast<ulong>(), 0, 0)
        : new Matrix<ulong>(Area(cut.PackedFloats + cut.SplitFloats, cut.BestFloats).Cast<ulong>(), tokens, cut.Units);

    public TileWork Work(ReadOnlySpan<Projection> projections, Epilogue finish, LinearMatrix main, int columns)
    {
        var segments = new ProjectionSegment[4];
        for (int i = 0; i < segments.Length; i++)
        {
            bool present = i < projections.Length;
            int firstUnit = present && i < cut.FirstUnits.Length - 1 ? cut.FirstUnits[i] : int.MaxValue;
            segments[i] = Segment(projections[present ? i : 0], firstUnit);
        }

        var epilogue = new EpilogueOperands(
            finish.SwiGlu ? 1 : 0,
            Matrix(finish.Residual),
            Matrix(finish.Gate),
            Best,
            finish.ArgMax?.VocabularySize ?? 0,
            Area(cut.PackedFloats, cut.SplitFloats),
            scratch.Tickets.Length > 0 ? scratch.Tickets : anything.SubView(0, 0).Cast<int>());
        return new TileWork(
            segments[0], segments[1], segments[2], segments[3], Columns(main, columns), epilogue, tokens, cut.UnitTiles, cut.Units);
    }

    private WeightColumns Columns(LinearMatrix main, int columns)
    {
        int runBlocks = cut.RunBlocks;
        if (main.Int4 is { } int4)
        {
            int shift = Shift(int4.Groups, int4.GroupSize / Int4Layout.TileColumns);
            return new WeightColumns(
                columns, int4.ColumnTiles, int4.Groups, shift, int4.IsSymmetric ? 1 : 0, F16(int4.ScaleType), cut.Splits, runBlocks);
        }

        if (main.Int8 is { } int8)
        {
            int shift = Shift(int8.Groups, int8.GroupSize / Int8Layout.TileColumns);
            return new WeightColumns(columns, int8.ColumnTiles, int8.Groups, shift, 1, F16(int8.ScaleType), cut.Splits, runBlocks);
        }

        return new WeightColumns(columns, 0, 0, 0, 1, 0, cut.Splits, runBlocks);
    }

    private static int Shift(int groups, int groupTiles) => groups == 1 ? 31 : BitOperations.Log2((uint)Math.Max(groupTiles, 1));

    private static int F16(WeightType type) => type == WeightType.F16 ? 1 : 0;

    private ProjectionSegment Segment(Projection projection, int firstUnit)
    {
        LinearMatrix weight = projection.Weight;
        ArrayView<ushort> scales = weight.Int4?.Scales ?? weight.Int8?.Scales ?? anything.SubView(0, 0).Cast<ushort>();
        return new ProjectionSegment(
            weight.Int4?.Codes ?? weight.Int8?.Codes ?? weight.Dense!.Value.Data,
            scales,
            weight.Int4 is { IsSymmetric: false } int4 ? int4.Zeros : anything.SubView(0, 0).Cast<byte>(),
            weight.Rows,
            weight.Dense?.StrideWords ?? 0,
            firstUnit,
            Matrix(projection.Y),
            Matrix(projection.Addend));
    }

    private Matrix<float> Matrix(Matrix<float> matrix) => matrix.Rows > 0 ? matrix : new Matrix<float>(anything.SubView(0, 0), 0, 0);

    private ArrayView<float> Area(long start, long length) =>
        length > 0 ? scratch.Floats.SubView(start, length) : anything.SubView(0, 0);
}

/// <summary>How a matmul's row tiles are cut into units and K into splits and runs, and the floats of scratch that follow one another.</summary>
internal sealed record TileCut(
    int[] FirstUnits, int UnitTiles, int Splits, int RunBlocks, long PackedFloats, long SplitFloats, long BestFloats)
{
    public int Units => FirstUnits[^1];
}
