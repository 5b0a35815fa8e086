using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = W · x for any number of tokens on the tensor cores, up to four projections of one x in a launch, finished as
/// <see cref="Epilogue"/> says. A row of y has the same bits whatever M is.
/// </summary>
internal static class PrefillMatMul
{
    private const string Op = "prefill_matmul";
    private const string RoundOp = "round_rows";

    /// <summary>Whether these can share a launch: all of one format, as in a decode matmul, but none rides with others.</summary>
    public static bool CanFuse(ReadOnlySpan<WeightMatrix> weights, Operand16 operand)
    {
        foreach (WeightMatrix weight in weights)
        {
            if (weight.IsDense != weights[0].IsDense)
                return false;
        }

        return ProjectionSet.CanFuse(weights, operand);
    }

    /// <summary>x: [M, K], normalised where there is a weight, rounded into packed: [M, K] of its operand type.</summary>
    public static Launch BindRound(KernelLoader loader, MatMulRows x, PrefillRows packed)
    {
        Require.Equal(RoundOp, "rows of packed", packed.Rows, "rows of x", x.X.Rows);
        Require.Equal(RoundOp, "columns of packed", packed.Columns, "columns of x", x.X.Columns);
        packed.Check(RoundOp, "packed");
        if (x.NormWeight.Length > 0)
            Require.Equal(RoundOp, "length of norm weight", x.NormWeight.Length, "columns of x", x.X.Columns);
        RowNorm norm = x.Norm(RoundOp);
        Matrix<Float4> words = Float4.Words(RoundOp, "x", x.X);
        var rounded = new Matrix<UInt2>(packed.Words.Cast<UInt2>(), packed.Rows, 2 * packed.StrideWords);
        return packed.Operand == Operand16.F16
            ? Bind(new RoundRowsKernel<F16Operand>(words, norm, rounded), RoundRowsKernel<F16Operand>.RoundRows)
            : Bind(new RoundRowsKernel<Bf16Operand>(words, norm, rounded), RoundRowsKernel<Bf16Operand>.RoundRows);

        Launch Bind<TKernel>(TKernel kernel, Action<TKernel> entry)
            where TKernel : struct, IGroupKernel => loader.Bind(entry, new KernelConfig(packed.Rows, RowChunk.GroupSize), kernel);
    }

    /// <summary>
    /// x: [M, K]; each weight [N, K], its y [M, N]. Scratch: at least what <see cref="PrefillPlan"/> says of the tile. No arg-max.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader, PrefillRows x, ReadOnlySpan<Projection> projections, Epilogue finish, MatMulScratch scratch,
        PrefillTile tile) => tile switch
    {
        _ when !PrefillTiles.Of(PrefillShape.Of([projections[0].Weight], finish.SwiGlu).Format).Contains(tile) =>
            throw new ArgumentException($"{Op}: {projections[0].Weight} has no tile {PrefillTiles.NameOf(tile)}"),
        PrefillTile.Wide => Bind<WidePrefillTile>(loader, x, projections, finish, scratch),
        PrefillTile.Small => Bind<SmallPrefillTile>(loader, x, projections, finish, scratch),
        _ => Bind<FewTokensPrefillTile>(loader, x, projections, finish, scratch),
    };

    /// <summary>With a given tile.</summary>
    public static Launch Bind<TTile>(
        KernelLoader loader, PrefillRows x, ReadOnlySpan<Projection> projections, Epilogue finish, MatMulScratch scratch)
        where TTile : struct, IPrefillTile => x.Operand == Operand16.F16
            ? Bind<F16Operand, TTile>(loader, x, projections, finish, scratch)
            : Bind<Bf16Operand, TTile>(loader, x, projections, finish, scratch);

    private static Launch Bind<TOperand, TTile>(
        KernelLoader loader, PrefillRows x, ReadOnlySpan<Projection> projections, Epilogue finish, MatMulScratch scratch)
        where TOperand : struct, IOperand16
        where TTile : struct, IPrefillTile
    {
        Check(x, projections, finish);
        int[] rows = [.. projections.ToArray().Select(p => p.Weight.Rows)];
        PrefillPlan plan = PrefillPlan.Of<TTile>(x.Rows, x.Columns, rows, finish.SwiGlu);
        Require.That(Op, scratch.Floats.Length >= plan.ScratchFloats,
            $"scratch has {scratch.Floats.Length} floats, {plan.ScratchFloats} are needed");
        Require.That(
            Op, scratch.Tickets.Length >= plan.Tickets, $"scratch has {scratch.Tickets.Length} tickets, {plan.Tickets} are needed");

        var parts = new LaunchOperands(x.Words.SubView(0, 0).Cast<float>(), scratch, plan.Cut, x.Rows);
        WeightMatrix main = projections[0].Weight;
        TileWork work = parts.Work(projections, finish, main, x.Columns);
        var order = new PrefillOrder(plan.Cut.Units, plan.TokenTiles);
        var words = new Matrix<UInt4>(x.Words, x.Rows, x.StrideWords);
        var grid = new Index3D(plan.Groups, plan.Cut.Splits, 1);
        return main.Format switch
        {
            WeightFormat.Dense => Bind<DenseTiles<TOperand>>(),
            WeightFormat.Int8 => Bind<Int8Tiles<TOperand>>(),
            WeightFormat.Fp4 => Bind<Fp4Tiles>(),
            WeightFormat.Fp8 => Bind<Fp8Tiles>(),
            _ => main.HasHalfTileGroups ? Bind<Int4HalfTiles<TOperand>>() : Bind<Int4Tiles<TOperand>>(),
        };

        Launch Bind<TTiles>()
            where TTiles : struct, IWeightTiles => loader.Bind(
                PrefillMatMulKernel<TTiles, TOperand, TTile>.PrefillMatMul,
                LaunchSize.Config<PrefillMatMulKernel<TTiles, TOperand, TTile>>(grid),
                new PrefillMatMulKernel<TTiles, TOperand, TTile>(words, work, order));
    }

    private static void Check(PrefillRows x, ReadOnlySpan<Projection> projections, Epilogue finish)
    {
        x.Check(Op, "x");
        WeightMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        Require.That(Op, weights.Length > 0 && CanFuse(weights, x.Operand),
            $"{string.Join(", ", weights)} cannot share a launch with operands of type {x.Operand}");
        Require.That(Op, finish.ArgMax is null, "arg-max is for a decode matmul");
        ProjectionSet.Check(Op, x.Rows, x.Columns, projections, finish);
        Require.That(Op, finish.SwiGlu || projections.ToArray().All(p => p.Y.Rows > 0), "a y is missing");
        Require.That(Op, projections[0].Y.Rows > 0, "y of w0 is missing");
    }
}
