using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>Shapes of the published dense models, for measuring without a checkpoint.</summary>
internal static class SyntheticShape
{
    private const int FullAttentionInterval = 4;

    /// <summary>Names that <see cref="Of"/> knows.</summary>
    public static ImmutableArray<string> Names { get; } = ["27b", "9b", "4b", "0.8b"];

    /// <summary>Qwen3.6-27B, or Qwen3.5-9B, -4B or -0.8B, as its config.json gives it.</summary>
    /// <exception cref="ArgumentException">There is no such shape.</exception>
    public static QwenConfig Of(string name) => name switch
    {
        "27b" => Create(5120, 64, 17408, heads: 24, kvHeads: 4, linearValueHeads: 48, tied: false),
        "9b" => Create(4096, 32, 12288, heads: 16, kvHeads: 4, linearValueHeads: 32, tied: false),
        "4b" => Create(2560, 32, 9216, heads: 16, kvHeads: 4, linearValueHeads: 32, tied: true),
        "0.8b" => Create(1024, 24, 3584, heads: 8, kvHeads: 2, linearValueHeads: 16, tied: true),
        _ => throw new ArgumentException($"there is no synthetic shape \"{name}\"; known are {string.Join(", ", Names)}"),
    };

    /// <summary>The first layers and the first rows of the vocabulary of a shape; layers keep the order of three delta nets, one attention.</summary>
    public static QwenConfig Cut(QwenConfig config, int layers, int vocabSize) => config with
    {
        LayerTypes = [.. config.LayerTypes.Take(layers)],
        VocabSize = Math.Min(vocabSize, config.VocabSize),
        EosTokenIds = [.. config.EosTokenIds.Select(id => Math.Min(id, Math.Min(vocabSize, config.VocabSize) - 1)).Distinct()],
    };

    private static QwenConfig Create(int hidden, int layers, int intermediate, int heads, int kvHeads, int linearValueHeads, bool tied) => new()
    {
        VocabSize = 248320,
        HiddenSize = hidden,
        IntermediateSize = intermediate,
        LayerTypes =
        [
            .. Enumerable.Range(1, layers).Select(n => n % FullAttentionInterval == 0 ? LayerType.FullAttention : LayerType.LinearAttention),
        ],
        NumAttentionHeads = heads,
        NumKeyValueHeads = kvHeads,
        HeadDim = 256,
        RotaryDim = 64,
        RopeTheta = 1e7,
        RmsNormEps = 1e-6,
        LinearNumKeyHeads = 16,
        LinearNumValueHeads = linearValueHeads,
        LinearKeyHeadDim = 128,
        LinearValueHeadDim = 128,
        LinearConvKernelDim = 4,
        MaxPositionEmbeddings = 262144,
        TieWordEmbeddings = tied,
        MtpNumHiddenLayers = 1,
        EosTokenIds = [248046, 248044],
    };
}
