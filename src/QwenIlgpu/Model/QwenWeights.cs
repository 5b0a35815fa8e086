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

/// <summary>The weight of a linear layer or of a table on the device, [N, K], in a format that suits its module.</summary>
/// <param name="Name">Canonical module name, such as <c>layers.3.self_attn.q_proj</c>.</param>
/// <param name="Matrix">Where it lies.</param>
/// <param name="Order">In which order it has its inputs; null where that is the layer's own.</param>
internal sealed record LinearWeight(string Name, WeightMatrix Matrix, InputOrder? Order = null)
{
    /// <summary>N: output features.</summary>
    public int Rows => Matrix.Rows;

    /// <summary>K: input features.</summary>
    public int Columns => Matrix.Columns;

    /// <summary>Last part of the module's name, such as <c>q_proj</c>.</summary>
    public string ShortName => Name[(Name.LastIndexOf('.') + 1)..];

    /// <summary>Bytes on the device, padding included.</summary>
    public long SizeBytes => Matrix.SizeBytes;

    public override string ToString() => $"{Name} [{Rows}, {Columns}]";
}

/// <summary>
/// The order in which a weight has its inputs, of GPTQ's act-order: column p is input Inputs[p], [K] on the device. Weights whose orders are
/// the same have one object.
/// </summary>
internal sealed class InputOrder(ArrayView<int> inputs)
{
    public ArrayView<int> Inputs { get; } = inputs;

    public long SizeBytes => Inputs.Length * sizeof(int);
}

/// <summary>Weight of a zero-centred RMSNorm, [D] float on the device, and its eps.</summary>
internal sealed record NormWeight(ArrayView<float> Values, float Eps)
{
    public long SizeBytes => Values.Length * sizeof(float);
}
