using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What a chunk needs before its state is known: (I + A)⁻¹ diag(β), P and the decays of each value head. A group of four warps has one
/// chunk and key head; a warp has 16 rows of K Kᵀ and Q Kᵀ, which serve all value heads of the key head.
/// qkv: [T, Channels / 8] words of f16; beta, g: [T, Hv] float; see <see cref="DeltaPrefillScratch"/> for what is written.
/// </summary>
/// <remarks>
/// Differences of γ are taken of float pairs that hold sums in double, so that a row's large decay does not blur its neighbours', and never
/// above the diagonal: no exponent is positive. Shared memory holds K and Q, then in their place A and the inverse, float, rows of 68.
/// </remarks>
[LaunchBounds(GroupSize)]
[Instantiation(typeof(Dim64))]
[Instantiation(typeof(Dim128))]
internal readonly struct ChunkPrepareKernel<THeadDim>(
    DeltaShape shape, ChunkList chunks, DeltaPrefillScratch scratch, int sequences) : IGroupKernel
    where THeadDim : struct, IConstant
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 128;

    private const int Rows = ChunkList.ChunkRows;
    private const int Stride = ChunkTriangle.Stride;
    private const int SharedWords = 2 * Rows * Stride / 4;
    private const double Log2E = 1.4426950408889634;

    private static int RowWords => THeadDim.Value / 8;

    /// <summary>One group per chunk, as far as they can come, and key head.</summary>
    public KernelConfig Config => new((int)chunks.Rows.Length * shape.KeyHeads, GroupSize);

    public static void DeltaPrefillPrepare(ChunkPrepareKernel<THeadDim> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(SharedWords);
        ArrayView<double> sums = SharedMemory.Allocate<double>(Rows);
        ArrayView<UInt4> exponents = SharedMemory.Allocate<UInt4>(Rows / 2);        // of each row γ · log2(e) as two floats
        ArrayView<float> betas = SharedMemory.Allocate<float>(Rows);
        int chunk = Grid.IdxX / shape.KeyHeads;
        int keyHead = Grid.IdxX - (chunk * shape.KeyHeads);
        if (chunk >= chunks.FirstChunk[sequences])
            return;

        int first = chunks.FirstRow[chunk];
        int rows = chunks.Rows[chunk];
        LoadTile(shared, 0, first, rows, (shape.KeyHeads + keyHead) * RowWords);
        LoadTile(shared, Rows * RowWords, first, rows, keyHead * RowWords);
        AsyncCopy.Commit();
        AsyncCopy.Wait0();
        Group.Barrier();

        int lane = Group.IdxX & 31;
        int warpRow = (Group.IdxX >> 5) * 16;
        FragmentStrip kk = default;
        FragmentStrip qk = default;
        int aRow = warpRow + (lane & 15);
        int bRow = (lane & 7) + ((lane >> 4) << 3);
        for (int word = 0; word < RowWords; word += 2)
        {
            UInt4 k = LoadMatrix.X4(ref shared[F16Tile.Place(aRow, word + (lane >> 4), RowWords)]);
            UInt4 q = LoadMatrix.X4(ref shared[(Rows * RowWords) + F16Tile.Place(aRow, word + (lane >> 4), RowWords)]);
            int place = F16Tile.Place(bRow, word + ((lane >> 3) & 1), RowWords);
            UInt4 b0 = LoadMatrix.X4(ref shared[place]);
            UInt4 b16 = LoadMatrix.X4(ref shared[place + (16 * RowWords)]);
            UInt4 b32 = LoadMatrix.X4(ref shared[place + (32 * RowWords)]);
            UInt4 b48 = LoadMatrix.X4(ref shared[place + (48 * RowWords)]);
            kk = kk.MultiplyAdd(k, b0, b16, b32, b48);
            qk = qk.MultiplyAdd(q, b0, b16, b32, b48);
        }

        for (int head = keyHead * shape.Ratio; head < (keyHead + 1) * shape.Ratio; head++)
        {
            long tile = ((long)chunk * shape.ValueHeads) + head;
            SumDecays(sums, first, rows, head);                                     // with barriers: nobody reads K, Q or the last head's A any more
            WriteDecays(sums, exponents, betas, tile, first, rows, head);
            Group.Barrier();
            var triangle = new ChunkTriangle(shared.Cast<float>(), warpRow + (lane >> 2), 2 * (lane & 3));
            long start = tile * DeltaPrefillScratch.TriangleWords;
            triangle.Fill(kk, qk, exponents, betas, scratch.P.SubView(start, DeltaPrefillScratch.TriangleWords));
            triangle.Invert();
            triangle.Write(betas, scratch.T.SubView(start, DeltaPrefillScratch.TriangleWords));
        }
    }

    // Rows past the chunk's end arrive as zeros.
    private void LoadTile(ArrayView<UInt4> shared, int start, int first, int rows, int firstWord)
    {
        for (int n = 0; n < Rows * RowWords / GroupSize; n++)
        {
            int i = Group.IdxX + (n * GroupSize);
            int row = (int)((uint)i / (uint)RowWords);
            int word = i & (RowWords - 1);
            bool present = row < rows;
            AsyncCopy.Copy16OrZero(
                ref shared[start + F16Tile.Place(row, word, RowWords)],
                ref scratch.Qkv[first + (present ? row : 0), firstWord + word],
                present);
        }
    }

    // γ of each row: six rounds, each adding what lies 1, 2, 4 … rows above. Rows past the end keep the last γ.
    private void SumDecays(ArrayView<double> sums, int first, int rows, int head)
    {
        int row = Group.IdxX;
        double sum = row < rows ? scratch.G[first + row, head] : 0;
        if (row < Rows)
            sums[row] = sum;
        for (int distance = 1; distance < Rows; distance *= 2)
        {
            Group.Barrier();
            if (row >= distance && row < Rows)
                sum += sums[row - distance];
            Group.Barrier();
            if (row < Rows)
                sums[row] = sum;
        }

        Group.Barrier();
    }

    private void WriteDecays(
        ArrayView<double> sums, ArrayView<UInt4> exponents, ArrayView<float> betas, long tile, int first, int rows, int head)
    {
        int row = Group.IdxX;
        if (row >= Rows)
            return;
        double exponent = sums[row] * Log2E;
        float high = (float)exponent;
        float low = (float)(exponent - high);
        ArrayView<float> pairs = exponents.Cast<float>();
        pairs[2 * row] = high;
        pairs[(2 * row) + 1] = low;
        betas[row] = row < rows ? scratch.Beta[first + row, head] : 0;
        ArrayView<float> decays =
            scratch.Decays.SubView(tile * DeltaPrefillScratch.DecayWords, DeltaPrefillScratch.DecayWords).Cast<float>();
        decays[row] = Float32.Exp2(high);
        decays[Rows + row] = Float32.Exp2((float)((sums[Rows - 1] - sums[row]) * Log2E));
    }
}
