using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = epilogue(W · x) for up to 64 tokens, x as <see cref="PackRowsKernel{TOperand}"/> writes it. Units of two row tiles as in
/// <see cref="DecodeMatMulKernel{TTiles, TRiders, TOperand}"/>, or of eight, one a warp, which read x together and sum all runs
/// of K each: the same sums in the same order.
/// </summary>
[LaunchBounds(TileWork.GroupSize, MinGroups = 1)]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(DenseRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Int8Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Fp4Tiles), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Fp8Tiles), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Two))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Two))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(DenseRiders), typeof(F16Operand), typeof(Two))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Two))]
[Instantiation(typeof(Int8Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Two))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Two))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<Bf16Operand>), typeof(DenseRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Int4HalfTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Int8Tiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Fp4Tiles), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Fp8Tiles), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(DenseTiles<Bf16Operand>), typeof(NoRiders), typeof(Bf16Operand), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Eight))]
[Instantiation(typeof(Int4Tiles<F16Operand>), typeof(DenseRiders), typeof(F16Operand), typeof(Eight))]
[Instantiation(typeof(Int4HalfTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Eight))]
[Instantiation(typeof(Int8Tiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Eight))]
[Instantiation(typeof(DenseTiles<F16Operand>), typeof(NoRiders), typeof(F16Operand), typeof(Eight))]
internal readonly struct PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, TTokenTiles>(ArrayView<UInt4> x, TileWork work)
    : IGroupKernel
    where TTiles : struct, IWeightTiles
    where TRiders : struct, IConstant
    where TOperand : struct, IOperand16
    where TTokenTiles : struct, IConstant
{
    // Plain weights ride along with others.
    private static bool IsAlone => TRiders.Value == 0;

    public static void PackedDecodeMatMul(PackedDecodeMatMulKernel<TTiles, TRiders, TOperand, TTokenTiles> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> partial = SharedMemory.Allocate<float>(TileWork.Warps * TTokenTiles.Value * 8 * TokenSums.TokenStride);
        ArrayView<ulong> ranks = SharedMemory.Allocate<ulong>(TileWork.GroupSize);
        ArrayView<int> flag = SharedMemory.Allocate<int>(1);
        int split = Grid.IdxY;
        int warp = Group.IdxX >> 5;
        int tileWarps = TileWork.Warps / work.UnitTiles;
        int tile = warp / tileWarps;
        int firstRun = (split * WeightColumns.Runs) + (warp % tileWarps);
        int endRun = tileWarps == 1 ? firstRun + WeightColumns.Runs : firstRun + 1;
        var packedX = new PackedX(x, work.Columns.Blocks, work.Columns.RunBlocks);
        int unit = Grid.IdxX;
        do
        {
            WeightRows rows = work.Rows(unit, tile, IsAlone);
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

            if (!IsAlone)
                Group.Barrier();                        // nobody still reads the sums of the unit before: else its arg-max has waited
            total.Store<TTokenTiles>(partial, warp);
            Group.Barrier();
            work.Finish(partial, ranks, flag, TTokenTiles.Value * 8, unit, split, IsAlone);
            unit += Grid.DimX;
        }
        while (unit < work.Units);
    }
}
