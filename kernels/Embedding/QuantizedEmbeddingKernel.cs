using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y[t] = table[ids[t]]. ids: [T] int; table: [Vocab, D] in tiles of <typeparamref name="TTiles"/> with 16-bit scales of
/// <typeparamref name="TScale"/>; y: [T, D] float, exact products of scale and code. An item is 32 columns of a row.
/// </summary>
[Instantiation(typeof(Int8EmbeddingTiles), typeof(Bf16Format))]
[Instantiation(typeof(Int8EmbeddingTiles), typeof(F16Format))]
[Instantiation(typeof(Int4EmbeddingTiles<SymmetricZero>), typeof(Bf16Format))]
[Instantiation(typeof(Int4EmbeddingTiles<SymmetricZero>), typeof(F16Format))]
[Instantiation(typeof(Int4EmbeddingTiles<StoredZero>), typeof(Bf16Format))]
[Instantiation(typeof(Int4EmbeddingTiles<StoredZero>), typeof(F16Format))]
internal readonly struct QuantizedEmbeddingKernel<TTiles, TScale>(
    ArrayView<int> ids, ArrayView<UInt4> codes, ArrayView<ushort> scales, ArrayView<byte> zeros, int groupSize, Matrix<float> y)
    : IPortableKernel
    where TTiles : struct, IEmbeddingTiles
    where TScale : struct, INumberFormat<ushort>
{
    private const int ItemColumns = Int8Layout.TileColumns;

    public int Items => y.Rows * RowItems;

    private int RowItems => (int)((uint)(y.Columns + ItemColumns - 1) / ItemColumns);

    public static void Embedding(Index1D thread, int threads, QuantizedEmbeddingKernel<TTiles, TScale> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int token = item / RowItems;
        int tile = item % RowItems;
        int id = ids[token];
        int row = id & (Int8Layout.TileRows - 1);
        long scaleIndex = Int8Layout.ScaleIndex(id, tile * ItemColumns / groupSize, Int8Layout.Groups(y.Columns, groupSize));
        float scale = TScale.Load(scales[scaleIndex]);
        float zeroBase = TTiles.Base(zeros, scaleIndex);
        ArrayView<UInt4> words = TTiles.RowTile(codes, (int)((uint)id / Int8Layout.TileRows), y.Columns, groupSize);
        ArrayView<float> yRow = y.Row(token);
        int lane = TTiles.FirstLane(tile) + ((row & 7) * 4);
        for (int t = 0; t < 4; t++)
        {
            UInt4 word = words[lane + t];
            int k = (tile * ItemColumns) + (2 * t);
            StepWeights first = TTiles.First(word, tile, zeroBase, zeroBase);
            StepWeights second = TTiles.Second(word, tile, zeroBase, zeroBase);
            Store(yRow, k, (row < 8 ? first.Above : first.Below) * scale);
            Store(yRow, k + 16, (row < 8 ? second.Above : second.Below) * scale);
        }
    }

    // Columns k, k + 1, k + 8, k + 9 of a row, where it has them.
    private static void Store(ArrayView<float> row, int k, Float4 values)
    {
        if (k < row.Length)
            row[k] = values.X;
        if (k + 1 < row.Length)
            row[k + 1] = values.Y;
        if (k + 8 < row.Length)
            row[k + 8] = values.Z;
        if (k + 9 < row.Length)
            row[k + 9] = values.W;
    }
}
