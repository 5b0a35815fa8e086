using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The weight of a linear layer or of a table on the device, [N, K], in the encoding its module has.</summary>
/// <param name="Name">Canonical module name, such as <c>layers.3.self_attn.q_proj</c>.</param>
/// <param name="Matrix">Where it lies.</param>
internal sealed record LinearWeight(string Name, LinearMatrix Matrix)
{
    public DenseMatrix? Dense => Matrix.Dense;

    public Int4Matrix? Int4 => Matrix.Int4;

    public Int8Matrix? Int8 => Matrix.Int8;

    /// <summary>N: output features.</summary>
    public int Rows => Matrix.Rows;

    /// <summary>K: input features.</summary>
    public int Columns => Matrix.Columns;

    /// <summary>Last part of the module's name, such as <c>q_proj</c>.</summary>
    public string ShortName => Name[(Name.LastIndexOf('.') + 1)..];

    /// <summary>Bytes on the device, padding included.</summary>
    public long SizeBytes => this switch
    {
        { Dense: { } dense } => DenseMatrix.BytesFor(dense.Type, dense.Rows, dense.Columns),
        { Int4: { } int4 } => Int4Matrix.CodeBytes(int4.Rows, int4.Columns, int4.GroupSize)
            + Int4Matrix.ScaleBytes(int4.Rows, int4.Columns, int4.GroupSize) + int4.Zeros.Length,
        _ => Int8Matrix.CodeBytes(Rows, Columns, Int8!.Value.GroupSize) + Int8Matrix.ScaleBytes(Rows, Columns, Int8.Value.GroupSize),
    };

    public override string ToString() => $"{Name} [{Rows}, {Columns}]";
}
