using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = W · norm(x) for up to 64 tokens on the tensor cores, up to four projections of one x in a launch, finished as
/// <see cref="DecodeFinish"/> says. A row of y has the same bits whatever M is.
/// </summary>
internal static class DecodeMatMul
{
    private const string Op = "decode_matmul";
    private const int MaxProjections = 4;

    /// <summary>
    /// Whether these can share a launch: all quantised ones have one format, one group size, one type of scale and zero points all or
    /// none; plain ones are of the operand's type, and among quantised ones ride with INT4 in groups of 64 or more.
    /// </summary>
    public static bool CanFuse(ReadOnlySpan<LinearMatrix> weights, TensorCoreType operand)
    {
        if (weights.Length > MaxProjections)
            return false;
        LinearMatrix main = Main(weights);
        foreach (LinearMatrix weight in weights)
        {
            bool fits = weight.Dense is { } dense
                ? dense.Type == OperandWeights(operand) && (main.Dense is not null || main.Int4 is { GroupSize: >= Int4Layout.TileColumns })
                : weight.Int4 is { } int4
                    ? main.Int4 is { } first && (int4.GroupSize, int4.ScaleType, int4.IsSymmetric, int4.Columns)
                        == (first.GroupSize, first.ScaleType, first.IsSymmetric, first.Columns)
                    : weight.Int8 is { } int8 && main.Int8 is { } other
                        && (int8.GroupSize, int8.ScaleType, int8.Columns) == (other.GroupSize, other.ScaleType, other.Columns);
            if (!fits || weight.Columns != main.Columns)
                return false;
        }

        return true;
    }

    /// <summary>
    /// x: [M, K], M ≤ 64, K a multiple of 4; each weight [N, K], its y [M, N]. Scratch: at least what <see cref="DecodePlan"/> says.
    /// </summary>
    public static Launch[] Bind(
        KernelLoader loader,
        DecodeRows x,
        ReadOnlySpan<DecodeProjection> projections,
        DecodeFinish finish,
        TensorCoreType operand,
        DecodeScratch scratch) => operand == TensorCoreType.F16
            ? Bind<F16Decode>(loader, x, projections, finish, operand, scratch)
            : Bind<Bf16Decode>(loader, x, projections, finish, operand, scratch);

    private static Launch[] Bind<TOperand>(
        KernelLoader loader,
        DecodeRows x,
        ReadOnlySpan<DecodeProjection> projections,
        DecodeFinish finish,
        TensorCoreType operand,
        DecodeScratch scratch)
        where TOperand : struct, IDecodeOperand
    {
        Check(x, projections, finish, operand);
        int m = x.X.Rows;
        int[] rows = [.. projections.ToArray().Select(p => p.Weight.Rows)];
        DecodePlan plan = DecodePlan.Of(m, x.X.Columns, rows, finish.SwiGlu, finish.ArgMax is not null);
        Require.That(Op, scratch.Floats.Length >= plan.ScratchFloats,
            $"scratch has {scratch.Floats.Length} floats, {plan.ScratchFloats} are needed");
        Require.That(
            Op, scratch.Tickets.Length >= plan.Tickets, $"scratch has {scratch.Tickets.Length} tickets, {plan.Tickets} are needed");

        var parts = new DecodeParts(x.X.Data, scratch, plan.Cut, m);
        LinearMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        LinearMatrix main = Main(weights);
        DecodeWork work = parts.Work(projections, finish, main, x.X.Columns);
        Matrix<Float4> words = Float4.Words(Op, "x", x.X);
        RowNorm norm = RowNorm.Of(Op, x);
        int groups = DecodeGrid.Groups(plan.Units, plan.Splits, loader.Accelerator.NumMultiprocessors);
        var config = new KernelConfig(new Index3D(groups, plan.Splits, 1), new Index3D(DecodeWork.GroupSize, 1, 1));

        var launches = new List<Launch>();
        if (plan.IsFused)
        {
            launches.Add(
                main.Dense is not null ? BindFused<DenseTiles<TOperand>, NoRiders, TOperand>(loader, config, words, norm, work)
                : main.Int8 is not null
                    ? BindFused<Int8Tiles<TOperand>, NoRiders, TOperand>(loader, config, words, norm, work)
                : main.Int4!.Value.GroupSize == Int4Layout.HalfTileColumns
                    ? BindFused<Int4HalfTiles<TOperand>, NoRiders, TOperand>(loader, config, words, norm, work)
                : HasRiders(weights)
                    ? BindFused<Int4Tiles<TOperand>, DenseRiders, TOperand>(loader, config, words, norm, work)
                    : BindFused<Int4Tiles<TOperand>, NoRiders, TOperand>(loader, config, words, norm, work));
        }
        else
        {
            var pack = new PackRowsKernel<TOperand>(words, norm, parts.Packed.Cast<uint>());
            launches.Add(loader.Bind(PackRowsKernel<TOperand>.PackRows, pack.Config, pack));
            launches.Add(
                main.Dense is not null ? BindPacked<DenseTiles<TOperand>, NoRiders, TOperand>(loader, config, m, parts.Packed, work)
                : main.Int8 is not null
                    ? BindPacked<Int8Tiles<TOperand>, NoRiders, TOperand>(loader, config, m, parts.Packed, work)
                : main.Int4!.Value.GroupSize == Int4Layout.HalfTileColumns
                    ? BindPacked<Int4HalfTiles<TOperand>, NoRiders, TOperand>(loader, config, m, parts.Packed, work)
                : HasRiders(weights)
                    ? BindPacked<Int4Tiles<TOperand>, DenseRiders, TOperand>(loader, config, m, parts.Packed, work)
                    : BindPacked<Int4Tiles<TOperand>, NoRiders, TOperand>(loader, config, m, parts.Packed, work));
        }

        if (finish.ArgMax is { } argMax)
        {
            var largest = new LargestLogitKernel(parts.Best, argMax.Ids);
            launches.Add(loader.Bind(LargestLogitKernel.LargestLogit, largest.Config, largest));
        }

        return [.. launches];
    }

    private static Launch BindFused<TTiles, TRiders, TOperand>(
        KernelLoader loader, KernelConfig config, Matrix<Float4> x, RowNorm norm, DecodeWork work)
        where TTiles : struct, IWeightTiles
        where TRiders : struct, IConstant
        where TOperand : struct, IDecodeOperand => loader.Bind(
            DecodeMatMulKernel<TTiles, TRiders, TOperand>.DecodeMatMul,
            config,
            new DecodeMatMulKernel<TTiles, TRiders, TOperand>(x, norm, work));

    private static Launch BindPacked<TTiles, TRiders, TOperand>(
        KernelLoader loader, KernelConfig config, int m, ArrayView<UInt4> packed, DecodeWork work)
        where TTiles : struct, IWeightTiles
        where TRiders : struct, IConstant
        where TOperand : struct, IDecodeOperand
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

    private static void Check(DecodeRows x, ReadOnlySpan<DecodeProjection> projections, DecodeFinish finish, TensorCoreType operand)
    {
        int m = x.X.Rows;
        Require.That(Op, m is >= 1 and <= DecodePlan.MaxTokens, $"x has {m} rows, not 1 to {DecodePlan.MaxTokens}");
        Require.That(Op, projections.Length is >= 1 and <= MaxProjections, $"{projections.Length} projections, not 1 to {MaxProjections}");
        if (x.NormWeight.Length > 0)
            Require.Equal(Op, "length of norm weight", x.NormWeight.Length, "columns of x", x.X.Columns);
        LinearMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        Require.That(Op, CanFuse(weights, operand), $"{string.Join(", ", weights)} cannot share a launch with operands of type {operand}");
        CheckProjections(Op, m, x.X.Columns, projections, finish);
        if (finish.ArgMax is { } argMax)
        {
            Require.Equal(Op, "length of ids", argMax.Ids.Length, "rows of x", m);
            Require.That(Op, argMax.VocabularySize >= 1 && argMax.VocabularySize <= weights[0].Rows,
                $"vocabulary size is {argMax.VocabularySize}, rows of w0 {weights[0].Rows}");
        }
    }

    /// <summary>Throws unless weights, outputs and what finishes them fit m rows of x and each other.</summary>
    public static void CheckProjections(
        string op, int m, int columns, ReadOnlySpan<DecodeProjection> projections, DecodeFinish finish)
    {
        LinearMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        for (int i = 0; i < projections.Length; i++)
        {
            LinearMatrix weight = projections[i].Weight;
            weight.Check(op, $"w{i}");
            Require.Equal(op, $"columns of w{i}", weight.Columns, "columns of x", columns);
            CheckOutput(op, $"y{i}", projections[i].Y, m, weight.Rows);
            CheckOutput(op, $"addend{i}", projections[i].Addend, m, weight.Rows);
            CheckGroup(op, weight, $"w{i}");
        }

        if (finish.SwiGlu)
        {
            Require.Equal(op, "projections of SwiGLU", projections.Length, "gate and up", 2);
            Require.Equal(op, "rows of up", weights[1].Rows, "rows of gate", weights[0].Rows);
            Require.That(
                op, weights[0].Dense is null == weights[1].Dense is null, $"gate is {weights[0]}, up is {weights[1]}: not of one format");
        }

        bool single = finish.SwiGlu || projections.Length == 1;
        Require.That(op, single || (finish.Residual.Rows | finish.Gate.Rows) == 0 && finish.ArgMax is null,
            $"{projections.Length} projections, but a residual, a gate or an arg-max belongs to one");
        CheckOutput(op, "residual", finish.Residual, m, weights[0].Rows);
        CheckOutput(op, "gate", finish.Gate, m, 1);
    }

    private static void CheckOutput(string op, string name, Matrix<float> matrix, int rows, int columns)
    {
        if (matrix.Rows == 0)
            return;
        Require.Equal(op, $"rows of {name}", matrix.Rows, "rows of x", rows);
        Require.Equal(op, $"columns of {name}", matrix.Columns, "rows of its weights", columns);
    }

    // The kernels find a tile's group by a shift.
    private static void CheckGroup(string op, LinearMatrix weight, string name)
    {
        int size = weight.Int4?.GroupSize ?? weight.Int8?.GroupSize ?? 1;
        int groups = weight.Int4?.Groups ?? weight.Int8?.Groups ?? 1;
        Require.That(
            op, groups == 1 || (size & (size - 1)) == 0, $"group size of {name} is {size}, neither a power of two nor a whole row");
    }

    private static WeightType OperandWeights(TensorCoreType operand) => operand == TensorCoreType.F16 ? WeightType.F16 : WeightType.Bf16;

    private static bool HasRiders(LinearMatrix[] weights) => weights.Any(w => w.Dense is not null);

    // The first quantised one: the others are of its format or ride along.
    private static LinearMatrix Main(ReadOnlySpan<LinearMatrix> weights)
    {
        foreach (LinearMatrix weight in weights)
        {
            if (weight.Dense is null)
                return weight;
        }

        return weights[0];
    }
}
