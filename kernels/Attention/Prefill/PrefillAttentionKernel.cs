using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One chunk's rows of one or two query heads of a kv head against all their keys, a page at a time. q: [T, H · 2 · Hd] and y: [T, H · Hd]
/// float; pages: bf16 in words of eight; scale: log2(e) / sqrt(Hd).
/// </summary>
/// <remarks>
/// A warp has 16 rows of a head, four warps the 64 positions of a chunk: a row's place is its position modulo 64, however many rows the
/// step brought, and its maximum, its sum and its outputs never leave the warp's registers. Queries, rounded to bf16 with their scale,
/// stay in shared memory beside one tile of keys and one of values: keys are multiplied while values arrive, and the other way round. The
/// accumulators of the scores, turned into weights, are the A operand of the product with the values. A tile's row of W words lies at
/// word ^ (row % 8), so that the eight rows of an ldmatrix phase lie in eight different sets of banks.
/// </remarks>
[LaunchBounds(2 * HeadThreads)]
[Instantiation(typeof(OutputTile64), typeof(One))]
[Instantiation(typeof(Twice<OutputTile64>), typeof(One))]
[Instantiation(typeof(Twice<Twice<OutputTile64>>), typeof(One))]
[Instantiation(typeof(Twice<Twice<OutputTile64>>), typeof(Two))]
internal readonly struct PrefillAttentionKernel<TOutputs, THeads>(
    Matrix<Float4> q,
    KvPages<Bf16PageFormat, Bf16PageFormat> pages,
    PagedRows rows,
    ChunkList chunks,
    int sequences,
    int heads,
    float scale,
    Matrix<Float2> y) : IGroupKernel, ILaunchSize
    where TOutputs : struct, IOutputTile<TOutputs>
    where THeads : struct, IConstant
{
    private const int HeadThreads = 128;
    private const int Rows = ChunkList.ChunkRows;
    private const int Keys = KvCache.PageTokens;

    public static int GroupSize => THeads.Value * HeadThreads;

    /// <summary>Of a group's tiles: queries of each head, keys and values.</summary>
    public static int DynamicSharedBytes => (ValueTile + TileWords) * 16;

    private static int RowWords => TOutputs.Dim / 8;

    private static int TileWords => Keys * RowWords;

    // Of a row, that a group loads at once of eight rows or a multiple: the smaller of two powers of two, in operations that fold.
    private static int LoadedWords => ((RowWords - 1) & ((GroupSize / 8) - 1)) + 1;

    private static int KeyTile => THeads.Value * TileWords;

    private static int ValueTile => KeyTile + TileWords;

    public static void PrefillAttention(PrefillAttentionKernel<TOutputs, THeads> kernel) => kernel.Execute();

    public void Execute()
    {
        int chunk = chunks.FirstChunk[sequences] - 1 - Grid.IdxY;       // the last have the most keys: they start first
        if (chunk < 0)
            return;

        ArrayView<UInt4> tiles = SharedMemory.GetDynamic<UInt4>();
        int firstHead = Grid.IdxX * THeads.Value;
        int kvHead = firstHead / (heads / pages.KvHeads);
        int firstRow = chunks.FirstRow[chunk];
        int position = rows.Positions[firstRow];
        int place = position & (Rows - 1);                              // of the first row
        int end = place + chunks.Rows[chunk];                           // of rows and of keys in the last block
        int lastBlock = (int)((uint)position / Keys);
        ArrayView<int> table = rows.Table(firstRow);

        int page = table[0];
        LoadTile(tiles, KeyTile, pages.KeyBlock(page, kvHead), lastBlock == 0 ? end : Keys);
        StageQueries(tiles, firstHead, firstRow, place, end);

        // What the lane names to ldmatrix: 16 rows of the left 8 columns, then of the right; of keys left and right of 8 rows, twice.
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int swizzle = lane & 7;
        int queryRow = ((warp * 16) + (lane & 15)) * RowWords;
        int queryWord = (lane >> 4) ^ swizzle;
        int keyRow = KeyTile + (((lane & 7) + ((lane >> 4) << 3)) * RowWords);
        int keyWord = ((lane >> 3) & 1) ^ swizzle;
        int valueRow = ValueTile + ((lane & 15) * RowWords);
        int row = ((warp & 3) * 16) + (lane >> 2);

        TOutputs outputs = default;
        float maxAbove = float.NegativeInfinity;
        float maxBelow = float.NegativeInfinity;
        float sumAbove = 0;
        float sumBelow = 0;
        for (int block = 0; block <= lastBlock; block++)
        {
            int keys = block == lastBlock ? end : Keys;
            AsyncCopy.Wait0();
            Group.Barrier();                                            // also: nobody still reads the values before
            LoadTile(tiles, ValueTile, pages.ValueBlock(page, kvHead), keys);
            int next = XMath.Min(block + 1, lastBlock);
            page = table[next];

            ScoreTile scores = Score(tiles, queryRow, queryWord, keyRow, keyWord);
            if (block == lastBlock)
                scores = ScoreTile.Masked(scores, 2 * (lane & 3), row, row + 8);
            float above = XMath.Max(maxAbove, MaxOfFour(ScoreTile.MaxAbove(scores)));
            float below = XMath.Max(maxBelow, MaxOfFour(ScoreTile.MaxBelow(scores)));
            float shrinkAbove = Float32.Exp2(maxAbove - above);
            float shrinkBelow = Float32.Exp2(maxBelow - below);
            maxAbove = above;
            maxBelow = below;
            ScoreTile weights = ScoreTile.Weights(scores, above, below);
            sumAbove = (sumAbove * shrinkAbove) + ScoreTile.SumAbove(weights);
            sumBelow = (sumBelow * shrinkBelow) + ScoreTile.SumBelow(weights);

            // The warp goes one way: what stands behind, barrier and matrix instructions, is compiled into both. ILGPU does so where the
            // ways meet at a constrained call, here one for nothing; where they are joined, registers spill.
            if (WarpReduce.MinOfRows(XMath.Min(shrinkAbove, shrinkBelow)) < 1)
                outputs = TOutputs.Scaled(outputs, shrinkAbove, shrinkBelow);
            _ = TOutputs.Dim;

            AsyncCopy.Wait0();
            Group.Barrier();                                            // also: nobody still reads the keys
            if (block < lastBlock)
                LoadTile(tiles, KeyTile, pages.KeyBlock(page, kvHead), next == lastBlock ? end : Keys);
            outputs = AddValues(outputs, weights, tiles, valueRow, queryWord);
        }

        sumAbove = WarpReduce.SumOfFour(sumAbove);
        sumBelow = WarpReduce.SumOfFour(sumBelow);
        Store(outputs, sumAbove, sumBelow, firstHead + (warp >> 2), firstRow - place, row, place, end);
    }

    // In place of a row that the step did not bring stands one that it did: rows do not meet, and nobody stores this one.
    private void StageQueries(ArrayView<UInt4> tiles, int firstHead, int firstRow, int place, int end)
    {
        int row = (int)((uint)Group.IdxX / (uint)LoadedWords);
        int word = Group.IdxX & (LoadedWords - 1);
        ArrayView<UInt4> target = tiles.SubView(Place(row, word));
        for (int down = 0; down < THeads.Value * Rows; down += GroupSize / LoadedWords)
        {
            int present = XMath.Max(place, XMath.Min(row + (down & (Rows - 1)), end - 1));
            ArrayView<Float4> source = q.Row(firstRow - place + present).SubView((firstHead + (int)((uint)down / Rows)) * 4 * RowWords);
            for (int right = 0; right < RowWords; right += LoadedWords)
            {
                Float4 low = source[2 * (word + right)] * scale;
                Float4 high = source[(2 * (word + right)) + 1] * scale;
                target[(down * RowWords) + right] = new UInt4(
                    Bf16x2.Pack(low.X, low.Y), Bf16x2.Pack(low.Z, low.W), Bf16x2.Pack(high.X, high.Y), Bf16x2.Pack(high.Z, high.W));
            }
        }
    }

    private static int Place(int row, int word) => (row * RowWords) + (word ^ (row & 7));

    // A block of a page; zeros behind the last key, where pages hold anything. A thread's rows are the same modulo 8.
    private static void LoadTile(ArrayView<UInt4> tiles, int tile, ArrayView<UInt4> block, int keys)
    {
        int row = (int)((uint)Group.IdxX / (uint)LoadedWords);
        int word = Group.IdxX & (LoadedWords - 1);
        ArrayView<UInt4> target = tiles.SubView(tile + Place(row, word));
        ArrayView<UInt4> source = block.SubView((row * RowWords) + word);
        for (int down = 0; down < Keys; down += GroupSize / LoadedWords)
        {
            for (int right = 0; right < RowWords; right += LoadedWords)
            {
                int place = (down * RowWords) + right;
                AsyncCopy.Copy16OrZero(ref target[place], ref source[place], row + down < keys);
            }
        }

        AsyncCopy.Commit();
    }

    // Of each eight words of a row a lane names four, at its own places: what is constant beyond them is part of the instruction.
    private static ScoreTile Score(ArrayView<UInt4> tiles, int queryRow, int queryWord, int keyRow, int keyWord)
    {
        ScoreTile scores = default;
        for (int word = 0; word < 8; word += 2)
        {
            ArrayView<UInt4> queries = tiles.SubView(queryRow + (queryWord ^ word));
            ArrayView<UInt4> keys = tiles.SubView(keyRow + (keyWord ^ word));
            for (int eights = 0; eights < RowWords; eights += 8)
            {
                var fragments = new OperandFragments(
                    LoadMatrix.X4(ref keys[eights]),
                    LoadMatrix.X4(ref keys[eights + (16 * RowWords)]),
                    LoadMatrix.X4(ref keys[eights + (32 * RowWords)]),
                    LoadMatrix.X4(ref keys[eights + (48 * RowWords)]));
                scores = ScoreTile.MultiplyAdd(scores, LoadMatrix.X4(ref queries[eights]), fragments);
            }
        }

        return scores;
    }

    private static TOutputs AddValues(TOutputs outputs, ScoreTile weights, ArrayView<UInt4> tiles, int valueRow, int valueWord)
    {
        UInt4 a0 = ScoreTile.Operand(weights.K0, weights.K8);
        UInt4 a16 = ScoreTile.Operand(weights.K16, weights.K24);
        UInt4 a32 = ScoreTile.Operand(weights.K32, weights.K40);
        UInt4 a48 = ScoreTile.Operand(weights.K48, weights.K56);
        ArrayView<UInt4> values0 = tiles.SubView(valueRow + valueWord);
        ArrayView<UInt4> values2 = tiles.SubView(valueRow + (valueWord ^ 2));
        ArrayView<UInt4> values4 = tiles.SubView(valueRow + (valueWord ^ 4));
        ArrayView<UInt4> values6 = tiles.SubView(valueRow + (valueWord ^ 6));
        OperandFragments next = LoadValues(values0, values2, values4, values6, 0);
        for (int eights = 0; eights < RowWords; eights += 8)
        {
            OutputTile64 tile = TOutputs.First(outputs);
            for (int keys = 16; keys <= Keys; keys += 16)
            {
                // The next operands are on their way while these are multiplied; behind the last come some of row 1, for nobody.
                OperandFragments values = next;
                next = LoadValues(values0, values2, values4, values6, keys < Keys ? (keys * RowWords) + eights : eights + 8);
                tile = OutputTile64.MultiplyAdd(tile, a0, values);
                (a0, a16, a32, a48) = (a16, a32, a48, a0);
            }

            outputs = TOutputs.Shift(outputs, tile);
        }

        return outputs;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static OperandFragments LoadValues(
        ArrayView<UInt4> values0, ArrayView<UInt4> values2, ArrayView<UInt4> values4, ArrayView<UInt4> values6, int place) => new(
            LoadMatrix.X4Transposed(ref values0[place]),
            LoadMatrix.X4Transposed(ref values2[place]),
            LoadMatrix.X4Transposed(ref values4[place]),
            LoadMatrix.X4Transposed(ref values6[place]));

    private static float MaxOfFour(float value)
    {
        value = XMath.Max(value, WarpShuffle.Xor(value, 2));
        return XMath.Max(value, WarpShuffle.Xor(value, 1));
    }

    // first: the step's row that has place 0, if it were there.
    private void Store(TOutputs outputs, float sumAbove, float sumBelow, int head, int first, int row, int place, int end)
    {
        float above = Float32.Reciprocal(sumAbove);
        float below = Float32.Reciprocal(sumBelow);
        bool hasAbove = row >= place && row < end;
        bool hasBelow = row + 8 >= place && row + 8 < end;
        int rowAbove = first + (hasAbove ? row : place);
        int rowBelow = first + (hasBelow ? row + 8 : place);
        int column = (head * (TOutputs.Dim / 2)) + (Group.IdxX & 3);              // in pairs
        int gate = column + ((head + 1) * (TOutputs.Dim / 2));
        ArrayView<Float2> targetAbove = y.Row(rowAbove).SubView(column);
        ArrayView<Float2> targetBelow = y.Row(rowBelow).SubView(column);
        ArrayView<Float2> gatesAbove = q.Row(rowAbove).Cast<Float2>().SubView(gate);
        ArrayView<Float2> gatesBelow = q.Row(rowBelow).Cast<Float2>().SubView(gate);
        for (int start = 0; start < TOutputs.Dim / 2; start += 32)
        {
            OutputTile64 tile = TOutputs.First(outputs);
            GatePairs gates = GatePairs.Load(gatesAbove.SubView(start));
            if (hasAbove)
                GatePairs.StoreAbove(targetAbove.SubView(start), tile, above, gates);
            gates = GatePairs.Load(gatesBelow.SubView(start));
            if (hasBelow)
                GatePairs.StoreBelow(targetBelow.SubView(start), tile, below, gates);
            outputs = TOutputs.Shift(outputs, tile);
        }
    }
}
