using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>y[t] = table[ids[t]]: token ids to rows of the residual stream.</summary>
internal static class Embedding
{
    private const string Op = "embedding";

    /// <summary>ids: [T], each in [0, Vocab), which the caller has checked; table: [Vocab, D]; y: [T, D].</summary>
    public static Launch Bind(KernelLoader loader, ArrayView<int> ids, WeightMatrix table, Matrix<float> y)
    {
        table.Check(Op, "table");
        Require.Equal(Op, "rows of y", y.Rows, "number of ids", ids.Length);
        Require.Equal(Op, "columns of y", y.Columns, "columns of table", table.Columns);
        return (table.Format, table.Type) switch
        {
            (WeightFormat.Int4, _) => table.IsSymmetric
                ? Bind<Int4EmbeddingTiles<SymmetricZero>>(loader, ids, table, y)
                : Bind<Int4EmbeddingTiles<StoredZero>>(loader, ids, table, y),
            (WeightFormat.Int8, _) => Bind<Int8EmbeddingTiles>(loader, ids, table, y),
            (WeightFormat.Fp4 or WeightFormat.Fp8, _) => throw new NotSupportedException($"{Op}: table is {table}; tables are plain, INT4 or INT8"),
            (_, WeightType.F32) => loader.Bind(
                EmbeddingKernel<F32Weights>.Embedding, new EmbeddingKernel<F32Weights>(ids, table.Words, y)),
            (_, WeightType.F16) => loader.Bind(
                EmbeddingKernel<F16Weights>.Embedding, new EmbeddingKernel<F16Weights>(ids, table.Words, y)),
            (_, WeightType.Bf16) => loader.Bind(
                EmbeddingKernel<Bf16Weights>.Embedding, new EmbeddingKernel<Bf16Weights>(ids, table.Words, y)),
            _ => throw new NotSupportedException($"{Op}: a table of type {table.Type}"),
        };
    }

    private static Launch Bind<TTiles>(KernelLoader loader, ArrayView<int> ids, WeightMatrix table, Matrix<float> y)
        where TTiles : struct, IEmbeddingTiles => table.Type == WeightType.F16
            ? Bind<TTiles, F16Format>(loader, ids, table, y)
            : Bind<TTiles, Bf16Format>(loader, ids, table, y);

    private static Launch Bind<TTiles, TScale>(KernelLoader loader, ArrayView<int> ids, WeightMatrix table, Matrix<float> y)
        where TTiles : struct, IEmbeddingTiles
        where TScale : struct, INumberFormat<ushort> => loader.Bind(
            QuantizedEmbeddingKernel<TTiles, TScale>.Embedding,
            new QuantizedEmbeddingKernel<TTiles, TScale>(ids, table.Data, table.Scales, table.Zeros, table.GroupSize, y));
}
