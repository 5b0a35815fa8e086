using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = epilogue(W · x) for up to 64 tokens, x as <see cref="PackRowsKernel{TOperand}"/> writes it. Units of two row tiles as in
/// <see cref="DecodeMatMulKernel{TTiles, TRiders, TOperand}"/>, or of eight, one a warp, which read x together and sum all runs
/// of K each: the same sums in the same order.
/// </summary>
[LaunchBounds(DecodeWork.GroupSize, MinGroups = 1)]
[Instantiation(typeof(Int4Tiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Two))]
[Instantiation(typeof(Int4Tiles<Bf16Decode>), typeof(DenseRiders), typeof(Bf16Decode), typeof(Two))]
[Instantiation(typeof(Int4HalfTiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Two))]
[Instantiation(typeof(Int8Tiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Two))]
[Instantiation(typeof(DenseTiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Two))]
[Instantiation(typeof(Int4Tiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Two))]
[Instantiation(typeof(Int4Tiles<F16Decode>), typeof(DenseRiders), typeof(F16Decode), typeof(Two))]
[Instantiation(typeof(Int4HalfTiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Two))]
[Instantiation(typeof(Int8Tiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Two))]
[Instantiation(typeof(DenseTiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Two))]
[Instantiation(typeof(Int4Tiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<Bf16Decode>), typeof(DenseRiders), typeof(Bf16Decode), typeof(Eight))]
[Instantiation(typeof(Int4HalfTiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Eight))]
[Instantiation(typeof(Int8Tiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Eight))]
[Instantiation(typeof(DenseTiles<Bf16Decode>), typeof(NoRiders), typeof(Bf16Decode), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<F16Decode>), typeof(DenseRiders), typeof(F16Decode), typeof(Eight))]
[Instantiation(typeof(Int4HalfTiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Eight))]
[Instantiation(typeof(Int8Tiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Eight))]
[Instantiation(typeof(DenseTiles<F16Decode>), typeof(NoRiders), typeof(F16Decode), typeof(Eight))]
internal readonly struct PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, TTokenTiles>(ArrayView<UInt4> x, DecodeWork work)
    : IGroupKernel
    where TTiles : struct, IWeightTiles
    where TRiders : struct, IConstant
    where TOperand : struct, IDecodeOperand
    where TTokenTiles : struct, IConstant
{
    public static void PackedDecodeMatMul(PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, TTokenTiles> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> partial = SharedMemory.Allocate<float>(DecodeWork.Warps * TTokenTiles.Value * 8 * TokenSums.TokenStride);
        ArrayView<ulong> ranks = SharedMemory.Allocate<ulong>(DecodeWork.GroupSize);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int split = Grid.IdxY;
        int warp = Group.IdxX >> 5;
        int tileWarps = DecodeWork.Warps / work.UnitTiles;
        int tile = warp / tileWarps;
        int firstRun = (split * DecodeColumns.Runs) + (warp % tileWarps);
        int endRun = tileWarps == 1 ? firstRun + DecodeColumns.Runs : firstRun + 1;
        var packedX = new PackedX(x, work.Columns.Blocks, work.Columns.RunBlocks);
        int unit = Grid.IdxX;
        do
        {
            WeightRows rows = work.Rows(unit, tile);
            TokenSums total = TokenSums.Zero;
            int run = firstRun;
            do
            {
                total += TRiders.Value != 0 && rows.DenseStride > 0
                    ? WeightStream<DenseTiles<TOperand>>.Begin<TTokenTiles>(rows, run).Sum<PackedX, TTokenTiles>(rows, packedX, run, run)
                    : WeightStream<TTiles>.Begin<TTokenTiles>(rows, run).Sum<PackedX, TTokenTiles>(rows, packedX, run, run);
                run++;
            }
            while (run < endRun);

            Group.Barrier();                            // nobody still reads the sums of the unit before
            total.Store<TTokenTiles>(partial, warp);
            Group.Barrier();
            work.Finish(partial, ranks, flag, TTokenTiles.Value * 8, unit, split);
            unit += Grid.DimX;
        }
        while (unit < work.Units);
    }
}
