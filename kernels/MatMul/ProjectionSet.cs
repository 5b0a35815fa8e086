namespace QwenIlgpu.Kernels;

/// <summary>Up to four projections of one x that share a launch: which of them may, whether they fit, and how their rows are cut.</summary>
internal static class ProjectionSet
{
    public const int MaxCount = 4;

    /// <summary>
    /// Whether these can share a launch: all quantised ones have one format, one group size, one type of scale and zero points all or
    /// none; plain ones are of the operand's type, and among quantised ones ride with INT4 in groups of 64 or more.
    /// </summary>
    public static bool CanFuse(ReadOnlySpan<LinearMatrix> weights, Operand16 operand)
    {
        if (weights.Length > MaxCount)
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

    /// <summary>The first quantised one: the others are of its format or ride along.</summary>
    public static LinearMatrix Main(ReadOnlySpan<LinearMatrix> weights)
    {
        foreach (LinearMatrix weight in weights)
        {
            if (weight.Dense is null)
                return weight;
        }

        return weights[0];
    }

    /// <summary>First unit of each projection, and behind them how many there are: SwiGLU's two are one.</summary>
    public static int[] UnitsOf(ReadOnlySpan<int> rows, bool swiGlu, int unitTiles)
    {
        int projections = swiGlu ? 1 : rows.Length;
        int outputTiles = swiGlu ? unitTiles / 2 : unitTiles;
        var first = new int[projections + 1];
        for (int i = 0; i < projections; i++)
            first[i + 1] = first[i] + ((Int4Layout.RowTiles(rows[i]) + outputTiles - 1) / outputTiles);
        return first;
    }

    /// <summary>Throws unless weights, outputs and what finishes them fit m rows of x and each other.</summary>
    public static void Check(string op, int m, int columns, ReadOnlySpan<Projection> projections, Epilogue finish)
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

    private static WeightType OperandWeights(Operand16 operand) => operand == Operand16.F16 ? WeightType.F16 : WeightType.Bf16;
}
