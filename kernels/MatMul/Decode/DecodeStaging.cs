using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Rows of x, normalised and rounded to the operand type, into shared memory in the order of <see cref="StagedX"/>.</summary>
internal readonly struct DecodeStaging<TOperand>(Matrix<Float4> x, RowNorm norm, WeightColumns columns)
    where TOperand : struct, IOperand16
{
    /// <summary>Words of shared memory for x: four rows of 5120, two of 6144 or one of 17408, and 46 KiB with all else.</summary>
    public const int Words = 10272;

    private const int BlockWords = 16;                              // of four floats

    /// <summary>Blocks of a run in shared memory: whole steps of the weight stream.</summary>
    public static int StagedBlocks(int runBlocks) => (runBlocks + 3) & ~3;

    /// <summary>Stages the runs of one split. warpSums: shared, one float a warp.</summary>
    public void Run(ArrayView<uint> staged, ArrayView<float> warpSums, int split)
    {
        int stagedBlocks = StagedBlocks(columns.RunBlocks);
        if (stagedBlocks * columns.Splits * WeightColumns.Runs * WeightColumns.BlockColumns != columns.Columns)
        {
            for (int i = Group.IdxX; i < x.Rows * StagedX.Stride(stagedBlocks); i += RowChunk.GroupSize)
                staged[i] = 0;
        }

        int token = 0;
        do
        {
            ArrayView<Float4> row = x.Row(token);
            ArrayView<uint> target = staged.SubView(token * StagedX.Stride(stagedBlocks), StagedX.Stride(stagedBlocks));
            RowChunk chunk = RowChunk.Load(row, 0);
            Group.Barrier();                        // the zeros are there, and nobody still reads the sums of the token before
            float scale = norm.Scale(row, chunk, warpSums);
            for (int start = 0; start < x.Columns; start += RowChunk.Words)
            {
                if (start > 0)
                    chunk = RowChunk.Load(row, start);
                Store(target, chunk, scale, start, split);
            }

            token++;
        }
        while (token < x.Rows);

        Group.Barrier();
    }

    // Not a loop: all weights of the norm are on their way at once.
    private void Store(ArrayView<uint> target, RowChunk chunk, float scale, int start, int split)
    {
        int word = start + Group.IdxX;
        Store(target, chunk.V0, scale, word, split);
        Store(target, chunk.V1, scale, word + RowChunk.GroupSize, split);
        Store(target, chunk.V2, scale, word + (2 * RowChunk.GroupSize), split);
        Store(target, chunk.V3, scale, word + (3 * RowChunk.GroupSize), split);
        Store(target, chunk.V4, scale, word + (4 * RowChunk.GroupSize), split);
        Store(target, chunk.V5, scale, word + (5 * RowChunk.GroupSize), split);
        Store(target, chunk.V6, scale, word + (6 * RowChunk.GroupSize), split);
        Store(target, chunk.V7, scale, word + (7 * RowChunk.GroupSize), split);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(ArrayView<uint> target, Float4 values, float scale, int word, int split)
    {
        int runBlocks = columns.RunBlocks;
        int block = (int)((uint)word / BlockWords) - (split * WeightColumns.Runs * runBlocks);
        if (word >= x.Columns || block < 0 || block >= WeightColumns.Runs * runBlocks)
            return;
        int run = (block >= runBlocks ? 1 : 0) + (block >= 2 * runBlocks ? 1 : 0) + (block >= 3 * runBlocks ? 1 : 0);
        int slot = (run * StagedBlocks(runBlocks)) + block - (run * runBlocks);
        int pair = 2 * (word & (BlockWords - 1));
        Float4 normalised = norm.Apply(values, scale, word);
        target[(slot * 32) + StagedX.Place(pair)] = TOperand.Pack(normalised.X, normalised.Y);
        target[(slot * 32) + StagedX.Place(pair + 1)] = TOperand.Pack(normalised.Z, normalised.W);
    }
}
