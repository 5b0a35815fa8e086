using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Rows of x [M, K], normalised and rounded to the operand type, one row a group, in the order of <see cref="PackedX"/>; zeros up to
/// the tokens that the matmul has accumulators for and to whole blocks of k.
/// </summary>
[LaunchBounds(RowChunk.GroupSize)]
[Instantiation(typeof(Bf16Operand))]
[Instantiation(typeof(F16Operand))]
internal readonly struct PackRowsKernel<TOperand>(Matrix<Float4> x, RowNorm norm, ArrayView<uint> packed) : IGroupKernel
    where TOperand : struct, IOperand16
{
    private const int BlockWords = 16;                              // of four floats

    public KernelConfig Config => new(PackedX.TokenTiles(x.Rows) * 8, RowChunk.GroupSize);

    public static void PackRows(PackRowsKernel<TOperand> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> warpSums = SharedMemory.Allocate<float>(RowChunk.GroupSize / 32);
        int token = Grid.IdxX;
        bool present = token < x.Rows;
        ArrayView<Float4> row = x.Row(present ? token : 0);
        float scale = norm.Scale(row, RowChunk.Load(row, 0), warpSums);
        int blocks = (int)((uint)(x.Columns + BlockWords - 1) / BlockWords);
        for (int word = Group.IdxX; word < blocks * BlockWords; word += RowChunk.GroupSize)
        {
            Float4 values = default;
            if (present && word < x.Columns)
                values = norm.Apply(row[word], scale, word);
            int pair = 2 * (word & (BlockWords - 1));
            Store(blocks, token, (int)((uint)word / BlockWords), pair, TOperand.Pack(values.X, values.Y));
            Store(blocks, token, (int)((uint)word / BlockWords), pair + 1, TOperand.Pack(values.Z, values.W));
        }
    }

    // Place 8t + 4 · half + word of a block, in [token tile][block][half][lane 4g + t][word].
    private void Store(int blocks, int token, int block, int pair, uint value)
    {
        int place = StagedX.Place(pair);
        int quad = (((((token >> 3) * blocks) + block) * 2) + ((place >> 2) & 1)) * 32;
        packed[((quad + (4 * (token & 7)) + (place >> 3)) * 4) + (place & 3)] = value;
    }
}
