using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[t] = table[ids[t]]: token ids to rows of the residual stream.</summary>
internal static class Embedding
{
    /// <summary>ids: [T], each in [0, Vocab), which the caller has checked; table: [Vocab, D]; y: [T, D].</summary>
    public static Launch Bind(KernelLoader loader, ArrayView<int> ids, DenseMatrix table, Matrix<float> y)
    {
        const string Op = "embedding";
        table.Check(Op, "table");
        Require.Equal(Op, "rows of y", y.Rows, "number of ids", ids.Length);
        Require.Equal(Op, "columns of y", y.Columns, "columns of table", table.Columns);
        var words = new Matrix<UInt4>(table.Data, table.Rows, table.StrideWords);
        return table.Type switch
        {
            WeightType.F32 => loader.Bind(EmbeddingKernel<F32Weights>.Embedding, new EmbeddingKernel<F32Weights>(ids, words, y)),
            WeightType.F16 => loader.Bind(EmbeddingKernel<F16Weights>.Embedding, new EmbeddingKernel<F16Weights>(ids, words, y)),
            WeightType.Bf16 => loader.Bind(EmbeddingKernel<Bf16Weights>.Embedding, new EmbeddingKernel<Bf16Weights>(ids, words, y)),
            _ => throw new NotSupportedException($"{Op}: a table of type {table.Type}"),
        };
    }
}
