namespace QwenIlgpu;

/// <summary>All weights of a text model on the device.</summary>
internal sealed record QwenWeights(LinearWeight EmbedTokens, IReadOnlyList<QwenLayer> Layers, NormWeight Norm, LinearWeight LmHead);

/// <summary>One decoder layer.</summary>
internal sealed record QwenLayer(NormWeight InputLayerNorm, IMixer Mixer, NormWeight PostAttentionLayerNorm, FeedForward FeedForward);
