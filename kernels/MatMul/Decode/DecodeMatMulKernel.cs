using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = epilogue(W · norm(x)) for a few tokens. x: [M, K] in words of four floats, M ≤ 8 and small enough for shared memory; W:
/// <see cref="TileWork"/>. A group of eight warps takes units of two row tiles: each tile is the 16-row operand of m16n8k16 for four
/// warps, which share K out among them; tokens are the n8.
/// </summary>
/// <remarks>
/// The first weights are on their way before x is normalised and staged, and those of the next unit before the sums of one are
/// finished. Splits of K over groups are the grid's second dimension. Loops that hold a barrier are do-while loops here and below: each
/// has something to do.
/// </remarks>
[LaunchBounds(TileWork.GroupSize, MinGroups = 2)]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(DenseRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Int8Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Fp4Tiles), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Fp8Tiles), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(DenseRiders), typeof(F16Operand))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand))]
[Instantiation(typeof(Int8Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand))]
internal readonly struct DecodeMatMulKernel<TTiles, TRiders, TOperand>(Matrix<Float4> x, RowNorm norm, TileWork work)
    : IGroupKernel
    where TTiles : struct, IWeightTiles
    where TRiders : struct, IConstant
    where TOperand : struct, IOperand16
{
    // Plain weights ride along with others.
    private static bool IsAlone => TRiders.Value == 0;

    public static void DecodeMatMul(DecodeMatMulKernel<TTiles, TRiders, TOperand> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> stagedQuads = SharedMemory.Allocate<UInt4>(DecodeStaging<TOperand>.Words / 4);
        ArrayView<uint> staged = stagedQuads.Cast<uint>();
        ArrayView<ulong> ranks = SharedMemory.Allocate<ulong>(TileWork.Warps * 8 * TokenSums.TokenStride / 2);
        ArrayView<float> partial = ranks.Cast<float>();     // up to eight tokens are finished at once, their sums read by then
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int split = Grid.IdxY;
        int warp = Group.IdxX >> 5;
        int run = warp & (WeightColumns.Runs - 1);
        int weightRun = (split * WeightColumns.Runs) + run;
        int tile = (int)((uint)warp / WeightColumns.Runs);

        var stagedX = new StagedX(staged, stagedQuads, x.Rows, DecodeStaging<TOperand>.StagedBlocks(work.Columns.RunBlocks));
        int unit = Grid.IdxX;
        WeightStream<TTiles> stream = Begin(work.Rows(unit, tile, IsAlone), weightRun);
        new DecodeStaging<TOperand>(x, norm, work.Columns).Run(staged, partial, split);
        do
        {
            WeightRows rows = work.Rows(unit, tile, IsAlone);        // views that a loop hands on lose their address space
            TokenSums sums = IsRider(rows)
                ? WeightStream<DenseTiles<TOperand>>.Begin<One>(rows, weightRun)
                    .Sum<StagedX, One>(rows, stagedX, weightRun, run)
                : stream.Sum<StagedX, One>(rows, stagedX, weightRun, run);
            Group.Barrier();                            // nobody still reads the sums of the unit before
            sums.Store<One>(partial, warp);
            Group.Barrier();

            int finished = unit;
            unit += Grid.DimX;
            if (unit < work.Units)
                stream = Begin(work.Rows(unit, tile, IsAlone), weightRun);
            work.Finish(partial, ranks, flag, 8, finished, split, IsAlone);
        }
        while (unit < work.Units);
    }

    // Plain weights among quantised ones, all of a unit: the same tiles as in a kernel of plain weights alone.
    private static bool IsRider(WeightRows rows) => TRiders.Value != 0 && rows.DenseStride > 0;

    private static WeightStream<TTiles> Begin(WeightRows rows, int run)
    {
        WeightStream<TTiles> stream = default;
        if (!IsRider(rows))
            stream = WeightStream<TTiles>.Begin<One>(rows, run);
        return stream;
    }
}

/// <summary>Of a launch of quantised weights: it has none of plain weights beside them.</summary>
internal readonly struct NoRiders : IConstant
{
    public static int Value => 0;
}

/// <summary>Of a launch of quantised weights: it has projections of plain weights too, which take a loop of their own.</summary>
internal readonly struct DenseRiders : IConstant
{
    public static int Value => 1;
}
