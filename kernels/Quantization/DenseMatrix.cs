using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Plain weights [Rows, Columns] in device memory, row-major. Each row is padded with zeros to a multiple of 16 bytes, so that it is
/// read in 16-byte words whatever its length: element (r, c) is the c-th of row r's <see cref="StrideWords"/> words.
/// </summary>
internal readonly record struct DenseMatrix(WeightType Type, ArrayView<UInt4> Data, int Rows, int Columns)
{
    /// <summary>16-byte words from one row to the next.</summary>
    public int StrideWords => Words(Type, Columns);

    /// <summary>Bytes of one element.</summary>
    public static int ElementBytes(WeightType type) => type == WeightType.F32 ? sizeof(float) : sizeof(ushort);

    /// <summary>Bytes that a matrix takes in device memory, padding included.</summary>
    public static long BytesFor(WeightType type, int rows, int columns) => rows * (long)Words(type, columns) * 16;

    /// <summary>Rows [first, first + count) as a matrix of their own.</summary>
    public DenseMatrix Slice(int first, int count) =>
        this with { Data = Data.SubView(first * (long)StrideWords, count * (long)StrideWords), Rows = count };

    /// <summary>Throws unless the storage has the length that type and extents ask for; the message names the op and the operand.</summary>
    public void Check(string op, string name) => Require.Equal(
        op, $"bytes of {name}", Data.LengthInBytes, $"bytes for {this}", BytesFor(Type, Rows, Columns));

    public override string ToString() => $"{Type} [{Rows}, {Columns}]";

    private static int Words(WeightType type, int columns) => (int)(((long)columns * ElementBytes(type) + 15) / 16);
}
