namespace QwenIlgpu.Kernels;

/// <summary>The weights of a linear layer in any of their formats: exactly one of the three is there.</summary>
internal readonly record struct LinearMatrix
{
    private LinearMatrix(Int4Matrix? int4, Int8Matrix? int8, DenseMatrix? dense) => (Int4, Int8, Dense) = (int4, int8, dense);

    public Int4Matrix? Int4 { get; }

    public Int8Matrix? Int8 { get; }

    public DenseMatrix? Dense { get; }

    public int Rows => Int4?.Rows ?? Int8?.Rows ?? Dense!.Value.Rows;

    public int Columns => Int4?.Columns ?? Int8?.Columns ?? Dense!.Value.Columns;

    public static implicit operator LinearMatrix(Int4Matrix matrix) => new(matrix, null, null);

    public static implicit operator LinearMatrix(Int8Matrix matrix) => new(null, matrix, null);

    public static implicit operator LinearMatrix(DenseMatrix matrix) => new(null, null, matrix);

    /// <summary>Throws unless the storage fits the format and the extents; the message names the op and the operand.</summary>
    public void Check(string op, string name)
    {
        Int4?.Check(op, name);
        Int8?.Check(op, name);
        Dense?.Check(op, name);
    }

    public override string ToString() => Int4?.ToString() ?? Int8?.ToString() ?? Dense?.ToString() ?? "nothing";
}
