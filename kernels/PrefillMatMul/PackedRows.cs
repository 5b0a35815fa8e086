using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Activations [M, K] rounded to the operand type, which several matmuls share: row-major, rows padded with zeros to whole blocks of
/// 64 k, in words of eight elements.
/// </summary>
internal readonly record struct PackedRows(ArrayView<UInt4> Words, int Rows, int Columns, TensorCoreType Operand)
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
        (columns + DecodeColumns.BlockColumns - 1) / DecodeColumns.BlockColumns * (DecodeColumns.BlockColumns / 8);
}
