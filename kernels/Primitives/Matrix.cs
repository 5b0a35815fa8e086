using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A row-major matrix in device memory: element (r, c) lies at r · <see cref="Stride"/> + c.</summary>
internal readonly struct Matrix<T>
    where T : unmanaged
{
    public readonly ArrayView<T> Data;
    public readonly int Rows;
    public readonly int Columns;
    public readonly int Stride;

    public Matrix(ArrayView<T> data, int rows, int columns, int stride)
    {
        Data = data;
        Rows = rows;
        Columns = columns;
        Stride = stride;
    }

    public Matrix(ArrayView<T> data, int rows, int columns)
        : this(data, rows, columns, columns)
    {
    }

    public ref T this[int row, int column] => ref Data[((long)row * Stride) + column];

    /// <summary>One row, so that an inner loop indexes with 32 bits and no multiplication.</summary>
    public ArrayView<T> Row(int row) => Data.SubView((long)row * Stride, Columns);

    public override string ToString() => $"[{Rows}, {Columns}]";
}
