using System.Numerics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A launch's operands as its kernel takes them. An operand that a launch lacks is an empty view into one that it has.</summary>
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

    public TileWork Work(ReadOnlySpan<Projection> projections, Epilogue finish, WeightMatrix main, int columns)
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
            Best,
            finish.ArgMax?.VocabularySize ?? 0,
            Area(cut.PackedFloats, cut.SplitFloats),
            scratch.Tickets.Length > 0 ? scratch.Tickets : anything.SubView(0, 0).Cast<int>());
        return new TileWork(
            segments[0], segments[1], segments[2], segments[3], Columns(main, columns), epilogue, tokens, cut.UnitTiles, cut.Units);
    }

    // A scale of FP8 takes the place of two 16-bit ones, and so a group that of two.
    private WeightColumns Columns(WeightMatrix main, int columns)
    {
        if (main.IsDense)
            return new WeightColumns(columns, 0, 0, 0, 1, 0, cut.Splits, cut.RunBlocks);
        int shift = main.Groups == 1 ? 31 : BitOperations.Log2((uint)Math.Max(main.GroupSize / main.TileColumns, 1));
        return new WeightColumns(
            columns, main.ColumnTiles, main.ScaleSlots, shift, main.IsSymmetric ? 1 : 0, main.Type == WeightType.F16 ? 1 : 0, cut.Splits,
            cut.RunBlocks);
    }

    private ProjectionSegment Segment(Projection projection, int firstUnit)
    {
        WeightMatrix weight = projection.Weight;
        return new ProjectionSegment(
            weight.Data,
            weight.IsDense ? anything.SubView(0, 0).Cast<ushort>() : weight.Scales,
            weight.IsSymmetric ? anything.SubView(0, 0).Cast<byte>() : weight.Zeros,
            weight.Rows,
            weight.StrideWords,
            firstUnit,
            Matrix(projection.Y));
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
