namespace QwenIlgpu.Kernels;

/// <summary>Up to four projections of one x that share a launch: which of them may, whether they fit, and how their rows are cut.</summary>
internal static class ProjectionSet
{
    public const int MaxCount = 4;

    /// <summary>
    /// Whether these can share a launch: all quantised ones have one format, one group size, one type of scale and zero points all or
    /// none; plain ones are of the operand's type, and among quantised ones ride with INT4 in groups of 64 or more. FP4 and FP8 are multiplied as bf16 alone.
    /// </summary>
    public static bool CanFuse(ReadOnlySpan<WeightMatrix> weights, Operand16 operand)
    {
        if (weights.Length > MaxCount)
            return false;
        WeightMatrix main = Main(weights);
        if (main.Format is WeightFormat.Fp4 or WeightFormat.Fp8 && operand != Operand16.Bf16)
            return false;
        foreach (WeightMatrix weight in weights)
        {
            bool fits = weight.IsDense
                ? weight.Type == OperandWeights(operand)
                    && (main.IsDense || main is { Format: WeightFormat.Int4, GroupSize: >= Int4Layout.TileColumns })
                : (weight.Format, weight.GroupSize, weight.Type, weight.IsSymmetric)
                    == (main.Format, main.GroupSize, main.Type, main.IsSymmetric);
            if (!fits || weight.Columns != main.Columns)
                return false;
        }

        return true;
    }

    /// <summary>The first quantised one: the others are of its format or ride along.</summary>
    public static WeightMatrix Main(ReadOnlySpan<WeightMatrix> weights)
    {
        foreach (WeightMatrix weight in weights)
        {
            if (!weight.IsDense)
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
        WeightMatrix[] weights = [.. projections.ToArray().Select(p => p.Weight)];
        for (int i = 0; i < projections.Length; i++)
        {
            WeightMatrix weight = projections[i].Weight;
            weight.Check(op, $"w{i}");
            Require.Equal(op, $"columns of w{i}", weight.Columns, "columns of x", columns);
            CheckOutput(op, $"y{i}", projections[i].Y, m, weight.Rows);
            CheckGroup(op, weight, $"w{i}");
        }

        if (finish.SwiGlu)
        {
            Require.Equal(op, "projections of SwiGLU", projections.Length, "gate and up", 2);
            Require.Equal(op, "rows of up", weights[1].Rows, "rows of gate", weights[0].Rows);
            Require.That(
                op, weights[0].IsDense == weights[1].IsDense, $"gate is {weights[0]}, up is {weights[1]}: not of one format");
        }

        bool single = finish.SwiGlu || projections.Length == 1;
        Require.That(op, single || finish.Residual.Rows == 0 && finish.ArgMax is null,
            $"{projections.Length} projections, but a residual or an arg-max belongs to one");
        CheckOutput(op, "residual", finish.Residual, m, weights[0].Rows);
    }

    private static void CheckOutput(string op, string name, Matrix<float> matrix, int rows, int columns)
    {
        if (matrix.Rows == 0)
            return;
        Require.Equal(op, $"rows of {name}", matrix.Rows, "rows of x", rows);
        Require.Equal(op, $"columns of {name}", matrix.Columns, "rows of its weights", columns);
    }

    // The kernels find a tile's group by a shift.
    private static void CheckGroup(string op, WeightMatrix weight, string name)
    {
        int size = weight.GroupSize;
        Require.That(
            op, weight.Groups == 1 || (size & (size - 1)) == 0, $"group size of {name} is {size}, neither a power of two nor a whole row");
    }

    private static WeightType OperandWeights(Operand16 operand) => operand == Operand16.F16 ? WeightType.F16 : WeightType.Bf16;
}
