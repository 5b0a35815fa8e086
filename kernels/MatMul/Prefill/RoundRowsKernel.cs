using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Rows of x [M, K], normalised and rounded to the operand type, one row a group: words of four elements, zeros from K to the end of the
/// row's last block.
/// </summary>
[LaunchBounds(RowChunk.GroupSize)]
[Instantiation(typeof(Bf16Operand))]
[Instantiation(typeof(F16Operand))]
internal readonly struct RoundRowsKernel<TOperand>(Matrix<Float4> x, RowNorm norm, Matrix<UInt2> rounded) : IGroupKernel
    where TOperand : struct, IOperand16
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

/// <summary>
/// Activations [M, K] rounded to the operand type, which several matmuls share: row-major, rows padded with zeros to whole blocks of
/// 64 k, in words of eight elements.
/// </summary>
internal readonly record struct PrefillRows(ArrayView<UInt4> Words, int Rows, int Columns, Operand16 Operand)
{
    /// <summary>16-byte words of a row.</summary>
    public int StrideWords => Stride(Columns);

    /// <summary>16-byte words of m rows of k.</summary>
    public static long Length(int m, int k) => (long)m * Stride(k);

    /// <summary>Throws unless the storage has the length of the extents; the message names the op and the operand.</summary>
    public void Check(string op, string name) =>
        Require.Equal(op, $"words of {name}", Words.Length, $"words for {this}", Length(Rows, Columns));

    public override string ToString() => $"{Operand} [{Rows}, {Columns}]";

    private static int Stride(int columns) =>
        (columns + WeightColumns.BlockColumns - 1) / WeightColumns.BlockColumns * (WeightColumns.BlockColumns / 8);
}
