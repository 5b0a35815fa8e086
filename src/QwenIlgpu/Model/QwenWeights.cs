namespace QwenIlgpu;

/// <summary>All weights of a text model on the device.</summary>
internal sealed record QwenWeights(LinearWeight EmbedTokens, IReadOnlyList<QwenLayer> Layers, NormWeight Norm, LinearWeight LmHead)
{
    /// <summary>Bytes of matrices that a decoded token reads: of the embedding only one row, which does not count.</summary>
    public long BytesPerToken => Layers.Sum(layer => layer.Mixer.MatrixBytes + layer.FeedForward.MatrixBytes) + LmHead.SizeBytes;
}

/// <summary>One decoder layer.</summary>
internal sealed record QwenLayer(NormWeight InputLayerNorm, IMixer Mixer, NormWeight PostAttentionLayerNorm, FeedForward FeedForward);
