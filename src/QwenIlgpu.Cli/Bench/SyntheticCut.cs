using System.Globalization;

namespace QwenIlgpu.Cli.Bench;

/// <summary>The part of a published shape that a synthetic bench makes.</summary>
/// <param name="Config">That part.</param>
/// <param name="Text">What is cut and why; null where nothing is.</param>
/// <param name="IsForced">Whether the machine asked for it, not the user.</param>
internal sealed record SyntheticCut(QwenConfig Config, string? Text, bool IsForced)
{
    private const int LeastLayers = 4;
    private const int LeastVocabulary = 8192;

    /// <summary>The layers and rows of the vocabulary that are asked for; all where nothing is said.</summary>
    public static SyntheticCut Of(string name, int? layers, int? vocabulary)
    {
        QwenConfig whole = SyntheticShape.Of(name);
        if (layers > whole.NumHiddenLayers)
            throw new UsageException($"--layers is {layers}; {name} has {whole.NumHiddenLayers}");
        if (vocabulary > whole.VocabSize)
            throw new UsageException($"--vocabulary is {vocabulary}; {name} has {whole.VocabSize}");
        QwenConfig config = SyntheticShape.Cut(whole, layers ?? whole.NumHiddenLayers, vocabulary ?? whole.VocabSize);
        return new SyntheticCut(config, Describe(name, whole, config, "as asked"), IsForced: false);
    }

    /// <summary>On a CPU: this part where its weights fit into memory, else four layers and 8,192 rows, unless others were asked for.</summary>
    public SyntheticCut IfItFits(string name, int? layers, int? vocabulary, long weightBytes, long availableBytes)
    {
        if (CpuChoice.Fits(weightBytes, availableBytes))
            return this;
        return Least(name, layers, vocabulary, string.Create(
            CultureInfo.InvariantCulture,
            $"its weights take {weightBytes / 1e9:F2} GB and {CpuChoice.RoomBytes(weightBytes) / 1e9:F2} GB of room, {availableBytes / 1e9:F2} GB of memory are available"));
    }

    /// <summary>What kernels without vector code get through in seconds; every kernel and every width stays.</summary>
    private static SyntheticCut Least(string name, int? layers, int? vocabulary, string why)
    {
        QwenConfig whole = SyntheticShape.Of(name);
        QwenConfig config = SyntheticShape.Cut(whole, layers ?? LeastLayers, vocabulary ?? LeastVocabulary);
        return new SyntheticCut(config, Describe(name, whole, config, why), IsForced: true);
    }

    private static string? Describe(string name, QwenConfig whole, QwenConfig config, string why) =>
        config.NumHiddenLayers == whole.NumHiddenLayers && config.VocabSize == whole.VocabSize
            ? null
            : $"{name} is cut to {config.NumHiddenLayers} of {whole.NumHiddenLayers} layers and {config.VocabSize} of {whole.VocabSize} rows of the "
                + $"vocabulary ({why}); its speed is not the whole model's";
}
