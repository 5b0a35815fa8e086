using System.Collections.Immutable;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The token mixer of a layer.</summary>
internal enum LayerType
{
    /// <summary>Gated DeltaNet.</summary>
    LinearAttention,

    /// <summary>Gated softmax attention.</summary>
    FullAttention,
}

/// <summary>A feed-forward part of many, of which each token takes a few, and of a shared one for all.</summary>
/// <param name="Count">Experts.</param>
/// <param name="PerToken">How many of them a token takes.</param>
/// <param name="SharedIntermediateSize">Inner width of the shared expert.</param>
internal sealed record MixtureOfExperts(int Count, int PerToken, int SharedIntermediateSize);

/// <summary>The shape of a Qwen3.5 or Qwen3.6 language model, as its <c>config.json</c> gives it.</summary>
internal sealed partial record QwenConfig
{
    /// <summary>Rows of the embedding and of the output head; the tokenizer may know fewer.</summary>
    public required int VocabSize { get; init; }

    /// <summary>Width D of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Inner width of the feed-forward part; of a mixture of experts, of one expert.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>The experts of the feed-forward part; null where it is one for all tokens.</summary>
    public MixtureOfExperts? Experts { get; init; }

    /// <summary>The mixer of every layer, first layer first.</summary>
    public required ImmutableArray<LayerType> LayerTypes { get; init; }

    /// <summary>Query heads H of an attention layer.</summary>
    public required int NumAttentionHeads { get; init; }

    /// <summary>Key and value heads Hkv of an attention layer.</summary>
    public required int NumKeyValueHeads { get; init; }

    /// <summary>Width Hd of an attention head.</summary>
    public required int HeadDim { get; init; }

    /// <summary>The leading part of a head that is rotated.</summary>
    public required int RotaryDim { get; init; }

    /// <summary>Base of the rotary frequencies.</summary>
    public required double RopeTheta { get; init; }

    /// <summary>What stretches the rotary embedding beyond the context of training; null where nothing does.</summary>
    public YarnScaling? Yarn { get; init; }

    /// <summary>Added to the mean square in every norm.</summary>
    public required double RmsNormEps { get; init; }

    /// <summary>Query and key heads Hk of a DeltaNet layer.</summary>
    public required int LinearNumKeyHeads { get; init; }

    /// <summary>Value heads Hv of a DeltaNet layer.</summary>
    public required int LinearNumValueHeads { get; init; }

    /// <summary>Width Dk of a DeltaNet query or key head.</summary>
    public required int LinearKeyHeadDim { get; init; }

    /// <summary>Width Dv of a DeltaNet value head.</summary>
    public required int LinearValueHeadDim { get; init; }

    /// <summary>Taps of the causal convolution.</summary>
    public required int LinearConvKernelDim { get; init; }

    /// <summary>The longest context that the model was made for, stretched where <see cref="Yarn"/> does.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>True when the output head is the embedding itself.</summary>
    public bool TieWordEmbeddings { get; init; }

    /// <summary>Multi-token-prediction layers of the checkpoint.</summary>
    public int MtpNumHiddenLayers { get; init; }

    /// <summary>Tokens that end a text of a model without a checkpoint; those of a checkpoint have several sources.</summary>
    public ImmutableArray<int> EosTokenIds { get; init; } = [];

    /// <summary>Number of layers.</summary>
    public int NumHiddenLayers => LayerTypes.Length;

    /// <summary>Number of attention layers.</summary>
    public int NumFullAttentionLayers => LayerTypes.Count(static type => type == LayerType.FullAttention);

    /// <summary>Number of DeltaNet layers.</summary>
    public int NumLinearAttentionLayers => NumHiddenLayers - NumFullAttentionLayers;

    /// <summary>Width H · Hd of an attention layer's queries, of its gate and of its output.</summary>
    public int QueryWidth => NumAttentionHeads * HeadDim;

    /// <summary>Width Hkv · Hd of an attention layer's keys, and of its values.</summary>
    public int KeyValueWidth => NumKeyValueHeads * HeadDim;

    /// <summary>Width Hk · Dk of a DeltaNet layer's queries, and of its keys.</summary>
    public int LinearKeyWidth => LinearNumKeyHeads * LinearKeyHeadDim;

    /// <summary>Width Hv · Dv of a DeltaNet layer's values, of its gate z and of its output.</summary>
    public int LinearValueWidth => LinearNumValueHeads * LinearValueHeadDim;

    /// <summary>Channels of the convolution: queries, keys and values side by side.</summary>
    public int LinearConvChannels => (2 * LinearKeyWidth) + LinearValueWidth;

    /// <summary>Reads and checks a <c>config.json</c>.</summary>
    public static QwenConfig Load(string file) => QwenConfigReader.Read(JsonSection.Load(file), []);
}
