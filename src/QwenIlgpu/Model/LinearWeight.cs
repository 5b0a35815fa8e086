using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The weight of a linear layer on the device, [N, K], in the encoding its module has: one of the two is set.</summary>
internal sealed record LinearWeight
{
    public LinearWeight(string name, DenseMatrix dense) => (Name, Dense) = (name, dense);

    public LinearWeight(string name, Int4Matrix int4) => (Name, Int4) = (name, int4);

    /// <summary>Canonical module name, such as <c>layers.3.self_attn.q_proj</c>.</summary>
    public string Name { get; }

    public DenseMatrix? Dense { get; }

    public Int4Matrix? Int4 { get; }

    /// <summary>N: output features.</summary>
    public int Rows => Dense?.Rows ?? Int4!.Value.Rows;

    /// <summary>K: input features.</summary>
    public int Columns => Dense?.Columns ?? Int4!.Value.Columns;

    public long SizeBytes => Dense is { } dense
        ? DenseMatrix.BytesFor(dense.Type, dense.Rows, dense.Columns)
        : (Int4!.Value.Codes.Length * 16) + (Int4.Value.Scales.Length * sizeof(ushort));
}
