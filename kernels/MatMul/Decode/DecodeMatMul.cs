using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = W · norm(x) for up to 64 tokens on the tensor cores, up to four projections of one x in a launch, finished as
/// <see cref="Epilogue"/> says. A row of y has the same bits whatever M is.
/// </summary>
internal static class DecodeMatMul
{
    private const string Op = "decode_matmul";

    /// <summary>
    /// x: [M, K], M ≤ 64, K a multiple of 4; each weight [N, K], its y [M, N]. Scratch: at least what <see cref="DecodePlan"/> says.
    /// </summary>
    public static Launch[] Bind(
        KernelLoader loader,
        MatMulRows x,
        ReadOnlySpan<Projection> projections,
        Epilogue finish,
        Operand16 operand,
        MatMulScratch scratch) => operand == Operand16.F16
            ? Bind<F16Operand>(loader, x, projections, finish, operand, scratch)
            : Bind<Bf16Operand>(loader, x, projections, finish, operand, scratch);

    private static Launch[] Bind<TOperand>(
        KernelLoader loader,
        MatMulRows x,
        ReadOnlySpan<Projection> projections,
        Epilogue finish,
        Operand16 operand,
        MatMulScratch scratch)
        where TOperand : struct, IOperand16
    {
        Check(x, projections, finish, operand);
        int m = x.X.Rows;
        int[] rows = [.. projections.ToArray().Select(p => p.Weight.Rows)];
        DecodePlan plan = DecodePlan.Of(m, x.X.Columns, rows, finish.SwiGlu, finish.ArgMax is not null);
        Require.That(Op, scratch.Floats.Length >= plan.ScratchFloats,
            $"scratch has {scratch.Floats.Length} floats, {plan.ScratchFloats} are needed");
        Require.That(
            Op, scratch.Tickets.Length >= plan.Tickets, $"scratch has {scratch.Tickets.Length} tickets, {plan.Tickets} are needed");

        var parts = new LaunchOperands(x.X.Data, scratch, plan.Cut, m);
        WeightMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        WeightMatrix main = ProjectionSet.Main(weights);
        TileWork work = parts.Work(projections, finish, main, x.X.Columns);
        Matrix<Float4> words = Float4.Words(Op, "x", x.X);
        RowNorm norm = x.Norm(Op);
        int groups = DecodeGrid.Groups(plan.Units, plan.Splits, loader.Multiprocessors);
        var config = new KernelConfig(new Index3D(groups, plan.Splits, 1), new Index3D(TileWork.GroupSize, 1, 1));

        var launches = new List<Launch>();
        if (!plan.IsFused)
        {
            var pack = new PackRowsKernel<TOperand>(words, norm, parts.Packed.Cast<uint>());
            launches.Add(loader.Bind(PackRowsKernel<TOperand>.PackRows, pack.Config, pack));
        }

        launches.Add(main.Format switch
        {
            WeightFormat.Dense => Bind<DenseTiles<TOperand>, NoRiders>(),
            WeightFormat.Int8 => Bind<Int8Tiles<TOperand>, NoRiders>(),
            WeightFormat.Fp4 => Bind<Fp4Tiles, NoRiders>(),
            WeightFormat.Fp8 => Bind<Fp8Tiles, NoRiders>(),
            _ when main.HasHalfTileGroups => Bind<Int4HalfTiles<TOperand>, NoRiders>(),
            _ when weights.Any(w => w.IsDense) => Bind<Int4Tiles<TOperand>, DenseRiders>(),
            _ => Bind<Int4Tiles<TOperand>, NoRiders>(),
        });
        if (finish.ArgMax is { } argMax)
        {
            var largest = new LargestLogitKernel(parts.Best, argMax.Ids);
            launches.Add(loader.Bind(LargestLogitKernel.LargestLogit, largest.Config, largest));
        }

        return [.. launches];

        Launch Bind<TTiles, TRiders>()
            where TTiles : struct, IWeightTiles
            where TRiders : struct, IConstant => plan.IsFused
                ? BindFused<TTiles, TRiders, TOperand>(loader, config, words, norm, work)
                : BindPacked<TTiles, TRiders, TOperand>(loader, config, m, parts.Packed, work);
    }

    private static Launch BindFused<TTiles, TRiders, TOperand>(
        KernelLoader loader, KernelConfig config, Matrix<Float4> x, RowNorm norm, TileWork work)
        where TTiles : struct, IWeightTiles
        where TRiders : struct, IConstant
        where TOperand : struct, IOperand16 => loader.Bind(
            DecodeMatMulKernel<TTiles, TRiders, TOperand>.DecodeMatMul,
            config,
            new DecodeMatMulKernel<TTiles, TRiders, TOperand>(x, norm, work));

    private static Launch BindPacked<TTiles, TRiders, TOperand>(
        KernelLoader loader, KernelConfig config, int m, ArrayView<UInt4> packed, TileWork work)
        where TTiles : struct, IWeightTiles
        where TRiders : struct, IConstant
        where TOperand : struct, IOperand16
    {
        return PackedX.TokenTiles(m) == Two.Value
            ? loader.Bind(
                PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, Two>.PackedDecodeMatMul,
                config,
                new PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, Two>(packed, work))
            : loader.Bind(
                PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, Eight>.PackedDecodeMatMul,
                config,
                new PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, Eight>(packed, work));
    }

    private static void Check(MatMulRows x, ReadOnlySpan<Projection> projections, Epilogue finish, Operand16 operand)
    {
        int m = x.X.Rows;
        Require.That(Op, m is >= 1 and <= DecodePlan.MaxTokens, $"x has {m} rows, not 1 to {DecodePlan.MaxTokens}");
        Require.That(Op, projections.Length is >= 1 and <= ProjectionSet.MaxCount, $"{projections.Length} projections, not 1 to {ProjectionSet.MaxCount}");
        if (x.NormWeight.Length > 0)
            Require.Equal(Op, "length of norm weight", x.NormWeight.Length, "columns of x", x.X.Columns);
        WeightMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        Require.That(Op, ProjectionSet.CanFuse(weights, operand), $"{string.Join(", ", weights)} cannot share a launch with operands of type {operand}");
        ProjectionSet.Check(Op, m, x.X.Columns, projections, finish);
        if (finish.ArgMax is { } argMax)
        {
            Require.Equal(Op, "length of ids", argMax.Ids.Length, "rows of x", m);
            Require.That(Op, argMax.VocabularySize >= 1 && argMax.VocabularySize <= weights[0].Rows,
                $"vocabulary size is {argMax.VocabularySize}, rows of w0 {weights[0].Rows}");
        }
    }
}
