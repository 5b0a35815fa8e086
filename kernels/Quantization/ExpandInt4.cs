using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// INT4 weights as plain bf16 ones, scale · (code − 8) rounded: what a matmul of very many tokens could multiply instead of the codes.
/// A benchmark holds that against the matmul on codes; nothing else uses it.
/// </summary>
internal static class ExpandInt4
{
    private const string Op = "expand_int4";

    /// <summary>
    /// Rows firstRow … of symmetric weights with bf16 scales into rows: bf16 [count, K], K a multiple of 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Int4Matrix weights, int firstRow, DenseMatrix rows)
    {
        weights.Check(Op, "weights");
        rows.Check(Op, "rows");
        Require.That(Op, weights.IsSymmetric && weights.ScaleType == WeightType.Bf16, $"{weights} is not symmetric with bf16 scales");
        Require.That(Op, rows.Type == WeightType.Bf16, $"rows are {rows.Type}, not Bf16");
        Require.Equal(Op, "columns of rows", rows.Columns, "columns of weights", weights.Columns);
        Require.That(Op, rows.Columns % 8 == 0, $"columns are {rows.Columns}, not a multiple of 8");
        Require.That(
            Op, firstRow >= 0 && firstRow + rows.Rows <= weights.Rows, $"rows {firstRow} to {firstRow + rows.Rows} of {weights.Rows} are asked for");
        return loader.Bind(
            ExpandInt4Kernel.ExpandInt4,
            new ExpandInt4Kernel(
                weights.Codes.Cast<uint>(), weights.Scales, weights.Groups, weights.GroupSize, weights.ColumnTiles, firstRow,
                new Matrix<UInt4>(rows.Data, rows.Rows, rows.StrideWords)));
    }
}
