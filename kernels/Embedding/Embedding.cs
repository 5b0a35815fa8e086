using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[t] = table[ids[t]]: token ids to rows of the residual stream.</summary>
internal static class Embedding
{
    private const string Op = "embedding";

    /// <summary>ids: [T], each in [0, Vocab), which the caller has checked; table: [Vocab, D]; y: [T, D].</summary>
    public static Launch Bind(KernelLoader loader, ArrayView<int> ids, DenseMatrix table, Matrix<float> y)
    {
        table.Check(Op, "table");
        CheckShapes(ids, table.Columns, y);
        var words = new Matrix<UInt4>(table.Data, table.Rows, table.StrideWords);
        return table.Type switch
        {
            WeightType.F32 => loader.Bind(EmbeddingKernel<F32Weights>.Embedding, new EmbeddingKernel<F32Weights>(ids, words, y)),
            WeightType.F16 => loader.Bind(EmbeddingKernel<F16Weights>.Embedding, new EmbeddingKernel<F16Weights>(ids, words, y)),
            WeightType.Bf16 => loader.Bind(EmbeddingKernel<Bf16Weights>.Embedding, new EmbeddingKernel<Bf16Weights>(ids, words, y)),
            _ => throw new NotSupportedException($"{Op}: a table of type {table.Type}"),
        };
    }

    /// <summary>ids: [T], each in [0, Vocab), which the caller has checked; table: INT8 [Vocab, D]; y: [T, D].</summary>
    public static Launch Bind(KernelLoader loader, ArrayView<int> ids, Int8Matrix table, Matrix<float> y)
    {
        table.Check(Op, "table");
        CheckShapes(ids, table.Columns, y);
        return Bind<Int8EmbeddingTiles>(loader, ids, table.Codes, table.Scales, default, table.ScaleType, table.GroupSize, y);
    }

    /// <summary>ids: [T], each in [0, Vocab), which the caller has checked; table: INT4 [Vocab, D]; y: [T, D].</summary>
    public static Launch Bind(KernelLoader loader, ArrayView<int> ids, Int4Matrix table, Matrix<float> y)
    {
        table.Check(Op, "table");
        CheckShapes(ids, table.Columns, y);
        return table.IsSymmetric
            ? Bind<Int4EmbeddingTiles<SymmetricZero>>(
                loader, ids, table.Codes, table.Scales, table.Zeros, table.ScaleType, table.GroupSize, y)
            : Bind<Int4EmbeddingTiles<StoredZero>>(
                loader, ids, table.Codes, table.Scales, table.Zeros, table.ScaleType, table.GroupSize, y);
    }

    private static void CheckShapes(ArrayView<int> ids, int columns, Matrix<float> y)
    {
        Require.Equal(Op, "rows of y", y.Rows, "number of ids", ids.Length);
        Require.Equal(Op, "columns of y", y.Columns, "columns of table", columns);
    }

    private static Launch Bind<TTiles>(
        KernelLoader loader,
        ArrayView<int> ids,
        ArrayView<UInt4> codes,
        ArrayView<ushort> scales,
        ArrayView<byte> zeros,
        WeightType scaleType,
        int groupSize,
        Matrix<float> y)
        where TTiles : struct, IEmbeddingTiles =>
        scaleType == WeightType.F16
            ? loader.Bind(
                QuantizedEmbeddingKernel<TTiles, F16Format>.Embedding,
                new QuantizedEmbeddingKernel<TTiles, F16Format>(ids, codes, scales, zeros, groupSize, y))
            : loader.Bind(
                QuantizedEmbeddingKernel<TTiles, Bf16Format>.Embedding,
                new QuantizedEmbeddingKernel<TTiles, Bf16Format>(ids, codes, scales, zeros, groupSize, y));
}
