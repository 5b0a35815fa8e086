using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = epilogue(W · x) for many tokens. x: [M, K padded to 64] in words of eight 16-bit elements; W: <see cref="TileWork"/>. A warp
/// multiplies two row tiles, each the 16-row operand of m16n8k16, by all tokens of its group, the n8; so each weight is loaded and
/// converted once in a group, by the warp that uses it, and x alone passes through shared memory.
/// </summary>
/// <remarks>
/// Sums as in a decode matmul: a tile of the weights in f32, times its scale, tile by tile through K; where K is split over groups (the
/// grid's second dimension) the splits in their order, by the group that comes last. A group's tile: <see cref="PrefillOrder"/>.
/// </remarks>
[LaunchBounds(256)]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Fp4Tiles), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int8Tiles<Bf16Operand>), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Fp8Tiles), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(Bf16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(F16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(F16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int8Tiles<F16Operand>), typeof(F16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(F16Operand), typeof(WidePrefillTile))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Fp4Tiles), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int8Tiles<Bf16Operand>), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Fp8Tiles), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(Bf16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(F16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(F16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int8Tiles<F16Operand>), typeof(F16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(F16Operand), typeof(SmallPrefillTile))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(Bf16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(Bf16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(Fp4Tiles), typeof(Bf16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(Fp8Tiles), typeof(Bf16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(Bf16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(F16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(F16Operand), typeof(FewTokensPrefillTile))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(F16Operand), typeof(FewTokensPrefillTile))]
internal readonly struct PrefillMatMulKernel<TTiles, TOperand, TTile>(Matrix<UInt4> x, TileWork work, PrefillOrder order)
    : IGroupKernel, ILaunchSize
    where TTiles : struct, IWeightTiles
    where TOperand : struct, IOperand16
    where TTile : struct, IPrefillTile
{
    public static int GroupSize => TTile.Warps * 32;

    public static int DynamicSharedBytes => 0;

    private static int TilesPerBlock => WeightColumns.BlockColumns / TTiles.Columns;

    public static void PrefillMatMul(PrefillMatMulKernel<TTiles, TOperand, TTile> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.Allocate<UInt4>(PrefillStages<TTile>.Words);
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int unit = order.Unit(Grid.IdxX);
        int firstToken = order.TokenTile(Grid.IdxX) * TTile.TokenTiles * 8;
        var stages = new PrefillStages<TTile>(shared, x, firstToken);
        WeightRows firstRows = work.Rows(unit, 2 * warp);
        WeightRows secondRows = work.Rows(unit, (2 * warp) + 1);

        int block = Grid.IdxY * work.Columns.RunBlocks;
        int end = block + work.Columns.RunBlocks;
        end = end < work.Columns.Blocks ? end : work.Columns.Blocks;
        var weights = new PrefillWeights<TTiles>(firstRows, secondRows, block * TilesPerBlock);
        stages.Start(block, 0, block < end);
        stages.Start(block + 1, 1, block + 1 < end);

        // Of four words of eight tokens: what the lane names to ldmatrix, or takes itself.
        int place = TTiles.TakesOctets
            ? PrefillStages<TTile>.Place(lane >> 2, lane & 3)
            : PrefillStages<TTile>.Place(lane & 7, lane >> 3);
        PrefillSums sums = default;
        int stage = 0;
        int arriving = 2;
        for (; block < end; block++)
        {
            weights = weights.Load(firstRows, secondRows, (block * TilesPerBlock) + 1);
            AsyncCopy.Wait1();                          // this stage is here, the one behind it may still be on its way
            Group.Barrier();                            // also: nobody still reads the stage that is overwritten now
            ArrayView<UInt4> left = From(shared, PrefillStages<TTile>.Begin(stage) + place);
            ArrayView<UInt4> right = From(shared, PrefillStages<TTile>.Begin(stage) + (place ^ 4));
            var next = new PrefillArrival<TTile>(stages, block + 2, arriving, block + 2 < end, TilesPerBlock);
            sums = MultiplyAdd(sums, weights, left, right, next, 0);
            weights = weights.Convert(firstRows, secondRows, (block * TilesPerBlock) + 1);
            if (TilesPerBlock > 1)
            {
                weights = weights.Load(firstRows, secondRows, (block + 1) * TilesPerBlock);
                sums = MultiplyAdd(sums, weights, right, right, next, TTile.TokenTiles);
                weights = weights.Convert(firstRows, secondRows, (block + 1) * TilesPerBlock);
            }

            AsyncCopy.Commit();
            stage = PrefillStages<TTile>.Next(stage);
            arriving = PrefillStages<TTile>.Next(arriving);
        }

        Finish(shared, sums, unit, firstToken);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static PrefillSums MultiplyAdd(
        PrefillSums sums,
        PrefillWeights<TTiles> weights,
        ArrayView<UInt4> left,
        ArrayView<UInt4> right,
        PrefillArrival<TTile> next,
        int done)
    {
        sums.N0 = MultiplyAdd(sums.N0, weights, left, right, 0);
        next.After(done);
        sums.N1 = MultiplyAdd(sums.N1, weights, left, right, 1);
        next.After(done + 1);
        sums.N2 = MultiplyAdd(sums.N2, weights, left, right, 2);
        next.After(done + 2);
        sums.N3 = MultiplyAdd(sums.N3, weights, left, right, 3);
        next.After(done + 3);
        if (TTile.TokenTiles > 4)
        {
            sums.N4 = MultiplyAdd(sums.N4, weights, left, right, 4);
            next.After(done + 4);
            sums.N5 = MultiplyAdd(sums.N5, weights, left, right, 5);
            next.After(done + 5);
            sums.N6 = MultiplyAdd(sums.N6, weights, left, right, 6);
            next.After(done + 6);
            sums.N7 = MultiplyAdd(sums.N7, weights, left, right, 7);
            next.After(done + 7);
        }

        return sums;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static PrefillPair MultiplyAdd(
        PrefillPair sums, PrefillWeights<TTiles> weights, ArrayView<UInt4> left, ArrayView<UInt4> right, int tokenTile)
    {
        ref UInt4 leftWord = ref left[PrefillStages<TTile>.TileStart(tokenTile)];
        UInt4 leftX = TTiles.TakesOctets ? leftWord : LoadMatrix.X4(ref leftWord);
        UInt4 rightX = leftX;
        if (TilesPerBlock == 1)
            rightX = LoadMatrix.X4(ref right[PrefillStages<TTile>.TileStart(tokenTile)]);
        return new PrefillPair(TTiles.Add(sums.First, weights.First, leftX, rightX), TTiles.Add(sums.Second, weights.Second, leftX, rightX));
    }

    // From here on words lie at constant distances, which instructions hold themselves.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ArrayView<UInt4> From(ArrayView<UInt4> shared, int at) => shared.SubView(at, shared.Length - at);

    // Where K is split, hands the sums over, each thread its own; the group that comes last adds those of all splits.
    private void Finish(ArrayView<UInt4> shared, PrefillSums sums, int unit, int firstToken)
    {
        bool isSplit = work.Columns.Splits > 1;
        ArrayView<Float4> batch = shared.Cast<Float4>();
        ArrayView<Float4> splitSums = work.SplitSums.Cast<Float4>();
        int tileWords = 2 * TTile.Warps * 32;
        int splitWords = Grid.DimX * TTile.TokenTiles * tileWords;
        int word = (Grid.IdxX * TTile.TokenTiles * tileWords) + Group.IdxX;
        PrefillSums rest = sums;
        for (int tokens = 0; isSplit && tokens < TTile.TokenTiles; tokens += PrefillSums.Batch)
        {
            rest.StoreBatch<TTile>(splitSums, (Grid.IdxY * splitWords) + word + (tokens * tileWords));
            rest = rest.WithoutBatch();
        }

        AsyncCopy.Wait0();                              // blocks behind the last one arrive too, as zeros: never on top of what follows
        bool isLast = LastGroup.Is(work.Tickets, Grid.IdxX, work.Columns.Splits, shared.Cast<int>());     // nobody reads the stages now
        Group.Barrier();                                // the flag's place is needed
        ProjectionSegment segment = work.SegmentOf(work.IsSwiGlu ? 0 : unit);
        int warp = Group.IdxX >> 5;
        int rowTile = work.IsSwiGlu
            ? (unit * TTile.Warps) + warp
            : ((unit - segment.FirstUnit) * 2 * TTile.Warps) + (2 * warp);
        int row = (rowTile * Int4Layout.TileRows) + ((Group.IdxX & 31) >> 2);
        int token = firstToken + (2 * (Group.IdxX & 3));
        for (int tokens = 0; isLast && tokens < TTile.TokenTiles; tokens++)
        {
            int place = tokens & (PrefillSums.Batch - 1);
            if (place == 0)
            {
                sums.StoreBatch<TTile>(batch, Group.IdxX);      // a thread reads its own words alone
                sums = sums.WithoutBatch();
            }

            int at = (place * tileWords) + Group.IdxX;
            Float4 first = batch[at];
            Float4 second = batch[at + (TTile.Warps * 32)];
            if (isSplit)
            {
                at = word + (tokens * tileWords);
                first = splitSums[at];
                second = splitSums[at + (TTile.Warps * 32)];
                for (int split = 1; split < work.Columns.Splits; split++)
                {
                    at += splitWords;
                    first += splitSums[at];
                    second += splitSums[at + (TTile.Warps * 32)];
                }
            }

            Store(segment, first, second, token, row, hasUp: true);
            if (!work.IsSwiGlu)
                Store(segment, second, second, token, row + Int4Layout.TileRows, hasUp: false);
            token += 8;
        }
    }

    // Eight lanes of a token hold eight rows side by side: a whole sector of 32 bytes.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(ProjectionSegment segment, Float4 sums, Float4 up, int token, int row, bool hasUp)
    {
        Store(segment, sums.X, up.X, token, row, hasUp);
        Store(segment, sums.Y, up.Y, token + 1, row, hasUp);
        Store(segment, sums.Z, up.Z, token, row + 8, hasUp);
        Store(segment, sums.W, up.W, token + 1, row + 8, hasUp);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(ProjectionSegment segment, float sum, float up, int token, int row, bool hasUp)
    {
        if (token < work.Tokens && row < segment.Rows)
            segment.Y[token, row] = work.Output(segment, sum, up, token, row, hasUp: hasUp);
    }
}
