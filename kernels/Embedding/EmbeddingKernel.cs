using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y[t] = table[ids[t]]. ids: [T] int; table: [Vocab, D] in 16-byte words of <typeparamref name="TWeight"/>; y: [T, D] float. An item
/// is 64 columns of a row.
/// </summary>
[Instantiation(typeof(F32Weights))]
[Instantiation(typeof(F16Weights))]
[Instantiation(typeof(Bf16Weights))]
internal readonly partial struct EmbeddingKernel<TWeight>(ArrayView<int> ids, Matrix<UInt4> table, Matrix<float> y) : IPortableKernel
    where TWeight : struct, IWeightFormat
{
    private const int ItemColumns = 64;

    public int Items => y.Rows * RowItems;

    private int RowItems => (int)((uint)(y.Columns + ItemColumns - 1) / ItemColumns);

    public static void Embedding(Index1D thread, int threads, EmbeddingKernel<TWeight> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int token = item / RowItems;
        int start = item % RowItems * ItemColumns;
        ArrayView<UInt4> words = table.Row(ids[token]);
        ArrayView<float> yRow = y.Row(token);
        for (int column = start; column < start + ItemColumns && column < y.Columns; column += 8)
        {
            UInt4 first = TWeight.FirstWord(words, column >> 3);
            Store(yRow, column, TWeight.First(first));
            Store(yRow, column + 4, TWeight.Second(TWeight.SecondWord(words, column >> 3, first)));
        }
    }

    private static void Store(ArrayView<float> row, int column, Float4 values)
    {
        if (column < row.Length)
            row[column] = values.X;
        if (column + 1 < row.Length)
            row[column + 1] = values.Y;
        if (column + 2 < row.Length)
            row[column + 2] = values.Z;
        if (column + 3 < row.Length)
            row[column + 3] = values.W;
    }
}
