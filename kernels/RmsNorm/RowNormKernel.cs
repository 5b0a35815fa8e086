using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x / sqrt(mean(x²) + eps) · (1 + weight), one row a group. x, y: [T, D] in words of four floats. The same bits as the prologue of a
/// decode matmul.
/// </summary>
[LaunchBounds(RowChunk.GroupSize)]
internal readonly struct RowNormKernel(Matrix<Float4> x, RowNorm norm, Matrix<Float4> y) : IGroupKernel
{
    public KernelConfig Config => new(x.Rows, RowChunk.GroupSize);

    public static void RowNorm(RowNormKernel kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<float> warpSums = SharedMemory.Allocate<float>(RowChunk.GroupSize / 32);
        ArrayView<Float4> row = x.Row(Grid.IdxX);
        ArrayView<Float4> target = y.Row(Grid.IdxX);
        float scale = norm.Scale(row, RowChunk.Load(row, 0), warpSums);
        for (int word = Group.IdxX; word < x.Columns; word += RowChunk.GroupSize)
            target[word] = norm.Apply(row[word], scale, word);
    }
}
