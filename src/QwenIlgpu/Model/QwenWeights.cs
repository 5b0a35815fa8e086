using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>All weights of a text model on the device.</summary>
internal sealed record QwenWeights(LinearWeight EmbedTokens, IReadOnlyList<QwenLayer> Layers, NormWeight Norm, LinearWeight LmHead)
{
    /// <summary>Bytes of matrices that a decoded token reads: of the embedding only one row, which does not count.</summary>
    public long BytesPerToken => Layers.Sum(layer => layer.Mixer.MatrixBytes + layer.FeedForward.MatrixBytes) + LmHead.SizeBytes;
}

/// <summary>One decoder layer.</summary>
internal sealed record QwenLayer(NormWeight InputLayerNorm, IMixer Mixer, NormWeight PostAttentionLayerNorm, FeedForward FeedForward);

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

/// <summary>Weight of a zero-centred RMSNorm, [D] float on the device, and its eps.</summary>
internal sealed record NormWeight(ArrayView<float> Values, float Eps)
{
    public long SizeBytes => Values.Length * sizeof(float);
}
