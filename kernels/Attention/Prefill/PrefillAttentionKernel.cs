using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// One chunk's rows of one or two query heads of a kv head against all their keys, a page at a time. q: [T, H · 2 · Hd] and y: [T, H · Hd]
/// float; scale: log2(e) / sqrt(Hd).
/// </summary>
/// <remarks>
/// A warp has 16 rows of a head, four warps the 64 positions of a chunk: a row's place is its position modulo 64, however many rows the
/// step brought, and its maximum, its sum and its outputs never leave the warp's registers. Queries, rounded to bf16 with their scale,
/// stay in shared memory beside one tile of keys and one of values: keys are multiplied while values arrive, and the other way round. The
/// accumulators of the scores, turned into weights, are the A operand of the product with the values.
///
/// Of quantised pages the codes arrive meanwhile, and are expanded to bf16 in the tile (<see cref="PageTile{TFormat, TOutputs, THeads}"/>):
/// queries are turned as the keys are before they are rounded, products with codes become scores by the keys' scales and zeros, weights
/// take the values' scales on, and outputs are turned back in registers after the last page.
/// </remarks>
[LaunchBounds(2 * PrefillGroup.HeadThreads)]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat), typeof(OutputTile64), typeof(One))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat), typeof(Twice<OutputTile64>), typeof(One))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(One))]
[Instantiation(typeof(Bf16PageFormat), typeof(Bf16PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(Two))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat), typeof(OutputTile64), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat), typeof(Twice<OutputTile64>), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int8PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(Two))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat), typeof(OutputTile64), typeof(One))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat), typeof(Twice<OutputTile64>), typeof(One))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(One))]
[Instantiation(typeof(Int4PageFormat), typeof(Int4PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(Two))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat), typeof(OutputTile64), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat), typeof(Twice<OutputTile64>), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(One))]
[Instantiation(typeof(Int8PageFormat), typeof(Int4PageFormat), typeof(Twice<Twice<OutputTile64>>), typeof(Two))]
internal readonly struct PrefillAttentionKernel<TKeys, TValues, TOutputs, THeads>(
    Matrix<Float4> q,
    KvPages<TKeys, TValues> pages,
    PagedRows rows,
    ChunkList chunks,
    int sequences,
    int heads,
    float scale,
    Matrix<Float2> y) : IGroupKernel, ILaunchSize
    where TKeys : struct, ITensorCoreFormat
    where TValues : struct, ITensorCoreFormat
    where TOutputs : struct, IOutputTile<TOutputs>
    where THeads : struct, IConstant
{
    private const int Rows = ChunkList.ChunkRows;
    private const int Keys = KvCache.PageTokens;

    // Two bf16 of 1.
    private const uint Ones = 0x3f803f80;

    public static int GroupSize => PrefillGroup<TOutputs, THeads>.Size;

    /// <summary>Of a group's tiles, queries of each head, keys and values, and of what quantised pages want beside them.</summary>
    public static int DynamicSharedBytes => (Staging + StagingWords) * 16;

    private static bool AreQuantized => KvPages<TKeys, TValues>.AreQuantized;

    // Keys and values expanded into one tile in turn: groups of two heads run where there is room for two.
    private static bool SharesTile => AreQuantized && THeads.Value == 1;

    private static int RowWords => PrefillGroup<TOutputs, THeads>.RowWords;

    private static int TileWords => PrefillGroup<TOutputs, THeads>.TileWords;

    // Of a row of queries, that a group stages at once: all where a head is turned by neighbouring lanes.
    private static int StagedWords => TKeys.IsQuantized ? RowWords : ((RowWords - 1) & ((GroupSize / 8) - 1)) + 1;

    private static int KeyTile => THeads.Value * TileWords;

    private static int ValueTile => SharesTile ? KeyTile : KeyTile + TileWords;

    // 64 scales and 64 zeros of keys, then of values.
    private static int KeyScales => ValueTile + TileWords;

    private static int ScaleWords => AreQuantized ? 2 * Keys / 4 : 0;

    private static int ValueScales => KeyScales + ScaleWords;

    private static int Staging => ValueScales + ScaleWords;

    private static int StagingWords => PageTile<TKeys, TOutputs, THeads>.StagingWords > PageTile<TValues, TOutputs, THeads>.StagingWords
        ? PageTile<TKeys, TOutputs, THeads>.StagingWords
        : PageTile<TValues, TOutputs, THeads>.StagingWords;

    public static void PrefillAttention(PrefillAttentionKernel<TKeys, TValues, TOutputs, THeads> kernel) => kernel.Execute();

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
        Copy<TKeys>(tiles, KeyTile, pages.KeyBlock(page, kvHead), lastBlock == 0 ? end : Keys);
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
        ArrayView<Float2> keyScales = LaneScales(tiles, KeyScales);
        ArrayView<Float2> valueScales = LaneScales(tiles, ValueScales);

        Float4 totals = default;                                        // Σq of rows g and g + 8
        if (TKeys.HasZeros)
        {
            Group.Barrier();
            totals = Totals(tiles, queryRow, queryWord);
        }

        TOutputs outputs = default;
        float maxAbove = float.NegativeInfinity;
        float maxBelow = float.NegativeInfinity;
        float sumAbove = 0;
        float sumBelow = 0;
        float zerosAbove = 0;                                           // Σ weight · zero: a part of every output
        float zerosBelow = 0;
        for (int block = 0; block <= lastBlock; block++)
        {
            int keys = block == lastBlock ? end : Keys;
            Await<TKeys>(tiles, KeyTile, KeyScales, keys);              // also: nobody still reads the values before
            Copy<TValues>(tiles, ValueTile, pages.ValueBlock(page, kvHead), keys);
            if (AreQuantized)
                Group.Barrier();
            int next = XMath.Min(block + 1, lastBlock);
            page = table[next];

            ScoreTile scores = Score(tiles, queryRow, queryWord, keyRow, keyWord);
            if (TKeys.IsQuantized)
                scores = ScoreTile.OfCodes<TKeys>(scores, keyScales, totals.X, totals.Z);
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

            Await<TValues>(tiles, ValueTile, ValueScales, keys);        // also: nobody still reads the keys
            if (block < lastBlock)
                Copy<TKeys>(tiles, KeyTile, pages.KeyBlock(page, kvHead), next == lastBlock ? end : Keys);
            if (AreQuantized)
                Group.Barrier();
            if (TValues.HasZeros)
            {
                Float2 zeros = ScoreTile.Zeros(weights, valueScales);
                zerosAbove = (zerosAbove * shrinkAbove) + zeros.X;
                zerosBelow = (zerosBelow * shrinkBelow) + zeros.Y;
            }

            if (TValues.IsQuantized)
                weights = ScoreTile.Scaled(weights, valueScales);
            outputs = AddValues(outputs, weights, tiles, valueRow, queryWord);
        }

        sumAbove = WarpReduce.SumOfFour(sumAbove);
        sumBelow = WarpReduce.SumOfFour(sumBelow);
        if (TValues.IsQuantized)
        {
            float above = TValues.HasZeros ? WarpReduce.SumOfFour(zerosAbove) : 0;
            float below = TValues.HasZeros ? WarpReduce.SumOfFour(zerosBelow) : 0;
            outputs = TOutputs.Turned(outputs, new Float4(above, above, below, below));
        }

        Store(outputs, sumAbove, sumBelow, firstHead + (warp >> 2), firstRow - place, row, place, end);
    }

    // In place of a row that the step did not bring stands one that it did: rows do not meet, and nobody stores this one.
    private void StageQueries(ArrayView<UInt4> tiles, int firstHead, int firstRow, int place, int end)
    {
        int row = (int)((uint)Group.IdxX / (uint)StagedWords);
        int word = Group.IdxX & (StagedWords - 1);
        ArrayView<UInt4> target = tiles.SubView(PrefillGroup<TOutputs, THeads>.Place(row, word));
        for (int down = 0; down < THeads.Value * Rows; down += GroupSize / StagedWords)
        {
            int present = XMath.Max(place, XMath.Min(row + (down & (Rows - 1)), end - 1));
            ArrayView<Float4> source = q.Row(firstRow - place + present).SubView((firstHead + (int)((uint)down / Rows)) * 4 * RowWords);
            for (int right = 0; right < RowWords; right += StagedWords)
            {
                Float4 low = source[2 * (word + right)] * scale;
                Float4 high = source[(2 * (word + right)) + 1] * scale;
                if (TKeys.IsQuantized)
                {
                    Float8 turned = Hadamard.OfWarp(new Float8(low, high), TOutputs.Dim);
                    (low, high) = (turned.Low, turned.High);
                    target = tiles.SubView(PrefillGroup<TOutputs, THeads>.Place(row + down, word) - (down * RowWords));
                }

                target[(down * RowWords) + right] = new UInt4(
                    Bf16x2.Pack(low.X, low.Y), Bf16x2.Pack(low.Z, low.W), Bf16x2.Pack(high.X, high.Y), Bf16x2.Pack(high.Z, high.W));
            }
        }
    }

    private static void Copy<TFormat>(ArrayView<UInt4> tiles, int tile, ArrayView<UInt4> block, int keys)
        where TFormat : struct, ITensorCoreFormat =>
        PageTile<TFormat, TOutputs, THeads>.Copy(tiles.SubView(tile), tiles.SubView(Staging), block, keys);

    // Until what was copied last is there, and in its tile as far as this thread goes; where keys and values lie in the same memory, until
    // nobody reads the others.
    private static void Await<TFormat>(ArrayView<UInt4> tiles, int tile, int scales, int keys)
        where TFormat : struct, ITensorCoreFormat
    {
        AsyncCopy.Wait0();
        if (!AreQuantized || SharesTile)
            Group.Barrier();
        else
            Warp.Barrier();
        if (AreQuantized)
        {
            PageTile<TFormat, TOutputs, THeads>.Expand(
                tiles.SubView(tile), tiles.SubView(Staging), tiles.SubView(scales, ScaleWords).Cast<float>(), keys);
        }
    }

    // Keys 2t and 2t + 1 of every eight.
    private static ArrayView<Float2> LaneScales(ArrayView<UInt4> tiles, int scales) =>
        tiles.SubView(scales, ScaleWords).Cast<Float2>().SubView(AreQuantized ? Group.IdxX & 3 : 0);

    // Of queries as they were rounded: their product with ones.
    private static Float4 Totals(ArrayView<UInt4> tiles, int queryRow, int queryWord)
    {
        Float4 totals = default;
        for (int word = 0; word < 8; word += 2)
        {
            ArrayView<UInt4> queries = tiles.SubView(queryRow + (queryWord ^ word));
            for (int eights = 0; eights < RowWords; eights += 8)
                totals = Mma.Bf16(LoadMatrix.X4(ref queries[eights]), new UInt2(Ones, Ones), totals);
        }

        return totals;
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
        if (TValues.IsQuantized)
        {
            above *= Hadamard.Scale(TOutputs.Dim);
            below *= Hadamard.Scale(TOutputs.Dim);
        }

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
