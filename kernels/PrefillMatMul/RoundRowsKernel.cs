using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Rows of x [M, K], normalised and rounded to the operand type, one row a group: words of four elements, zeros from K to the end of the
/// row's last block.
/// </summary>
[LaunchBounds(RowChunk.GroupSize)]
[Instantiation(typeof(Bf16Decode))]
[Instantiation(typeof(F16Decode))]
internal readonly struct RoundRowsKernel<TOperand>(Matrix<Float4> x, RowNorm norm, Matrix<UInt2> rounded) : IGroupKernel
    where TOperand : struct, IDecodeOperand
{
    public KernelConfig Config => new(x.Rows, RowChunk.GroupSize);

    public static void RoundRows(RoundRowsKernel<TOperand> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> warpSums = SharedMemory.Allocate<float>(RowChunk.GroupSize / 32);
        ArrayView<Float4> row = x.Row(Grid.IdxX);
        ArrayView<UInt2> target = rounded.Row(Grid.IdxX);
        float scale = norm.Scale(row, RowChunk.Load(row, 0), warpSums);
        for (int word = Group.IdxX; word < rounded.Columns; word += RowChunk.GroupSize)
        {
            Float4 values = default;
            if (word < x.Columns)
                values = norm.Apply(row[word], scale, word);
            target[word] = new UInt2(TOperand.Pack(values.X, values.Y), TOperand.Pack(values.Z, values.W));
        }
    }
}
