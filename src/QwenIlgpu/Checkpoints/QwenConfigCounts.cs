namespace QwenIlgpu;

/// <summary>Parameters of the language model by kind.</summary>
internal readonly record struct ParameterCounts
{
    /// <summary>Token embedding.</summary>
    public required long Embedding { get; init; }

    /// <summary>Query, key, value and output projections of the attention layers.</summary>
    public required long Attention { get; init; }

    /// <summary>Every projection of the DeltaNet layers.</summary>
    public required long DeltaNet { get; init; }

    /// <summary>Gate, up and down projections of all layers, of all experts with what chooses among them.</summary>
    public required long FeedForward { get; init; }

    /// <summary>Output head; 0 when it is the embedding.</summary>
    public required long LmHead { get; init; }

    /// <summary>Norms, convolutions, decays and biases.</summary>
    public required long Rest { get; init; }

    /// <summary>All of them.</summary>
    public long Total => Embedding + Attention + DeltaNet + FeedForward + LmHead + Rest;
}

/// <content>What the shape costs: parameters and state.</content>
internal sealed partial record QwenConfig
{
    /// <summary>Parameters by kind.</summary>
    public ParameterCounts Parameters
    {
        get
        {
            long hidden = HiddenSize;
            long layerNorms = (2 * hidden * NumHiddenLayers) + (2L * HeadDim * NumFullAttentionLayers);
            long linearRest = (LinearConvChannels * (long)LinearConvKernelDim) + (2L * LinearNumValueHeads) + LinearValueHeadDim;
            return new ParameterCounts
            {
                Embedding = VocabSize * hidden,
                Attention = NumFullAttentionLayers * hidden * ((3L * QueryWidth) + (2L * KeyValueWidth)),
                DeltaNet = NumLinearAttentionLayers * hidden * (LinearConvChannels + (2L * LinearValueWidth) + (2L * LinearNumValueHeads)),
                FeedForward = NumHiddenLayers * hidden * FeedForwardRows,
                LmHead = TieWordEmbeddings ? 0 : VocabSize * hidden,
                Rest = hidden + layerNorms + (NumLinearAttentionLayers * linearRest),
            };
        }
    }

    // Rows of a layer's feed-forward matrices, all as wide as the residual stream, down projections lying: router and shared gate among them.
    private long FeedForwardRows => Experts is { } experts
        ? (3L * ((experts.Count * (long)IntermediateSize) + experts.SharedIntermediateSize)) + experts.Count + 1
        : 3L * IntermediateSize;

    /// <summary>Bytes of one sequence's DeltaNet states of all layers, [Hv, Dk, Dv] each, for elements of <paramref name="elementBytes"/>.</summary>
    public long RecurrentBytesPerSequence(int elementBytes) =>
        (long)NumLinearAttentionLayers * LinearNumValueHeads * LinearKeyHeadDim * LinearValueHeadDim * elementBytes;

    /// <summary>Bytes of one sequence's convolution tails, f32, of all layers: a ring of kernel rows each.</summary>
    public long ConvTailBytesPerSequence => (long)NumLinearAttentionLayers * LinearConvKernelDim * LinearConvChannels * sizeof(float);

    /// <summary>Bytes that one sequence holds whatever its length, and a snapshot of it, for elements of states of <paramref name="elementBytes"/>.</summary>
    public long StateBytesPerSequence(int elementBytes) => RecurrentBytesPerSequence(elementBytes) + ConvTailBytesPerSequence;

    /// <summary>Parameters of the language model, without vision and multi-token prediction.</summary>
    public long CountParameters() => Parameters.Total;
}
