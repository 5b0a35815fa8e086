namespace QwenIlgpu;

/// <summary>
/// A Hugging Face checkpoint directory of the Qwen3.6 family: configuration, and the text model's tensors by canonical name.
/// Bytes stay in the files until they are read.
/// </summary>
internal sealed class Checkpoint : IDisposable
{
    private static readonly TensorType[] PlainTypes = [TensorType.F32, TensorType.F16, TensorType.BF16];

    private readonly TensorFiles files;
    private readonly TensorNames names;
    private readonly List<string> notices;

    private Checkpoint(string directory, QwenConfig config, QuantizedModules quantization, TensorFiles files, List<string> notices)
    {
        DirectoryPath = directory;
        Config = config;
        Quantization = quantization;
        this.files = files;
        this.notices = notices;
        names = files.Names;
        foreach (TensorEntry tensor in files.Tensors.Values)
        {
            if (!names.IsText(tensor.Name))
            {
                SkippedBytes += tensor.LengthBytes;
                if (TensorNames.IsMtp(tensor.Name))
                    (MtpTensors, MtpBytes) = (MtpTensors + 1, MtpBytes + tensor.LengthBytes);
                continue;
            }

            ForeignLayouts.Refuse(files, tensor);
            WeightBytes += tensor.LengthBytes;
        }

        Config = config with { TieWordEmbeddings = HeadIsTied() };
    }

    /// <summary>The directory.</summary>
    public string DirectoryPath { get; }

    /// <summary>The model's shape.</summary>
    public QwenConfig Config { get; }

    /// <summary>What two sources contradict each other in, with the one that counts, and what is left out: a sentence each.</summary>
    public IReadOnlyList<string> Notices => notices;

    /// <summary>What is declared of quantised modules.</summary>
    public QuantizedModules Quantization { get; }

    /// <summary>Bytes of the text model's tensors as stored.</summary>
    public long WeightBytes { get; }

    /// <summary>Bytes of the tensors that are skipped: vision, multi-token prediction, unknown.</summary>
    public long SkippedBytes { get; }

    /// <summary>How many tensors of multi-token prediction there are.</summary>
    public int MtpTensors { get; }

    /// <summary>Bytes of them.</summary>
    public long MtpBytes { get; }

    /// <summary>The text model's tensors under their stored names.</summary>
    public IEnumerable<TensorEntry> Tensors => files.Tensors.Values.Where(tensor => names.IsText(tensor.Name));

    /// <summary>
    /// Opens a directory and checks everything but the tensors' contents. A rope scaling that is asked for counts before the file's.
    /// </summary>
    public static Checkpoint Open(string directory, RopeScaling? ropeScaling = null)
    {
        if (WeightFormats.IsGguf(directory) && !Directory.Exists(directory))
            throw WeightFormats.GgufRefused(directory);
        if (!Directory.Exists(directory))
        {
            string finder = HuggingFaceCache.IsRepository(directory)
                ? $"; {nameof(HuggingFaceCache)}.{nameof(HuggingFaceCache.Find)} has the directory of a repository" : "";
            throw new DirectoryNotFoundException($"{directory}: no such directory; a checkpoint holds config.json and model.safetensors{finder}");
        }

        string configFile = Path.Combine(directory, "config.json");
        if (!CheckpointFile.Exists(configFile) && WeightFormats.GgufIn(directory) is { } gguf)
            throw WeightFormats.GgufRefused(gguf);
        if (!CheckpointFile.Exists(configFile))
            throw new FileNotFoundException($"{directory}: holds no config.json, so it is not a checkpoint directory", configFile);

        JsonSection json = JsonSection.Load(configFile);
        List<string> notices = [];
        QwenConfig config = QwenConfigReader.Read(json, notices, ropeScaling);
        QuantizedModules quantization = QuantizationConfig.Read(json, notices);
        TensorFiles files = TensorFiles.Open(directory, notices);
        try
        {
            return new Checkpoint(directory, config, quantization, files, notices);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Throws where the model can be described but not be loaded.</summary>
    public void RequireLoadable()
    {
        if (Config.Experts is { } experts)
        {
            throw new NotSupportedException(
                $"{DirectoryPath}: is a mixture of experts, {experts.Count} of which a token takes {experts.PerToken}; `qwen info` describes it, but it "
                + "cannot be loaded yet; supported: dense models");
        }
    }

    /// <summary>The tensor of a canonical name, or null. A tensor of unknown type is refused.</summary>
    public TensorEntry? Find(string canonicalName)
    {
        if (!files.Tensors.TryGetValue(names.Stored(canonicalName), out TensorEntry? tensor))
            return null;
        if (tensor.Type == TensorType.Unknown)
            throw new NotSupportedException($"{PathOf(tensor)}: tensor {tensor.Name} has dtype {tensor.TypeName}, which is unknown");
        return tensor;
    }

    /// <summary>The F32, F16 or BF16 tensor of a canonical name, which must have the given shape.</summary>
    public TensorEntry Get(string canonicalName, params ReadOnlySpan<long> shape) => Get(canonicalName, PlainTypes, shape);

    /// <summary>The tensor of a canonical name, which must have one of the given types and the given shape.</summary>
    public TensorEntry Get(string canonicalName, ReadOnlySpan<TensorType> types, params ReadOnlySpan<long> shape)
    {
        TensorEntry tensor = Find(canonicalName) ?? throw Missing(canonicalName);
        bool typeFits = types.Contains(tensor.Type);
        if (typeFits && tensor.Shape.AsSpan().SequenceEqual(shape))
            return tensor;

        string message = $"{PathOf(tensor)}: tensor {tensor.Name} is {tensor.TypeName} {tensor.ShapeText}, "
            + $"{string.Join(" or ", types.ToArray())} {TensorEntry.TextOf(shape)} is expected";
        if (typeFits || tensor.Type.IsInteger() || tensor.Type.IsPlainFloat())
            throw new InvalidDataException(message);
        throw new NotSupportedException(message);       // a float format that other builds of the model use
    }

    /// <summary>How the linear module <paramref name="module"/> (<c>layers.0.mlp.up_proj</c>) with a weight [N, K] is stored.</summary>
    public ModuleEncoding Describe(string module, int outFeatures, int inFeatures)
    {
        TensorEntry[] stored = [.. QuantizedModules.CodeTensors.Select(name => Find($"{module}.{name}")).OfType<TensorEntry>()];
        if (stored.Length > 1)
            throw new InvalidDataException($"{DirectoryPath}: module {module} is stored twice, as {stored[0].Name} and as {stored[1].Name}");
        if (stored.Length == 0)
        {
            throw new InvalidDataException(
                $"{DirectoryPath}: module {module} is missing: neither {names.Stored(module)}.weight nor its .qweight or .weight_packed is there");
        }

        TensorEntry? bias = Find($"{module}.bias") is null ? null : Get($"{module}.bias", outFeatures);
        return Quantization.Describe(this, module, stored[0], outFeatures, inFeatures) with { Bias = bias };
    }

    /// <summary>
    /// Fills <paramref name="destination"/> with the tensor's bytes from <paramref name="offsetBytes"/> on. Threads may read at once.
    /// </summary>
    public void Read(TensorEntry tensor, long offsetBytes, Span<byte> destination) => files.Read(tensor, offsetBytes, destination);

    /// <summary>The file that holds a tensor.</summary>
    public string PathOf(TensorEntry tensor) => files.PathOf(tensor);

    /// <summary>Closes the files.</summary>
    public void Dispose() => files.Dispose();

    // A head of its own beside a configuration that ties it: the same bytes are one matrix, others are the head that was trained.
    private bool HeadIsTied()
    {
        const string Head = "lm_head.weight";
        if (!Config.TieWordEmbeddings || !QuantizedModules.CodeTensors.Any(name => files.Tensors.ContainsKey(names.Stored($"lm_head.{name}"))))
            return Config.TieWordEmbeddings;
        if (Find(Head) is { } head && Find("embed_tokens.weight") is { } embedding && HoldSameBytes(head, embedding))
            return true;
        notices.Add(
            $"{DirectoryPath}: config.json says tie_word_embeddings, but the files hold an lm_head that differs from the embedding; "
            + "the lm_head counts");
        return false;
    }

    private bool HoldSameBytes(TensorEntry a, TensorEntry b)
    {
        const int BlockBytes = 1 << 20;
        if (a.TypeName != b.TypeName || !a.Shape.AsSpan().SequenceEqual(b.Shape.AsSpan()))
            return false;
        byte[] blocks = new byte[2 * (int)Math.Min(BlockBytes, a.LengthBytes)];
        Span<byte> first = blocks.AsSpan(0, blocks.Length / 2);
        Span<byte> second = blocks.AsSpan(blocks.Length / 2);
        for (long offset = 0; offset < a.LengthBytes; offset += BlockBytes)
        {
            int count = (int)Math.Min(BlockBytes, a.LengthBytes - offset);
            Read(a, offset, first[..count]);
            Read(b, offset, second[..count]);
            if (!first[..count].SequenceEqual(second[..count]))
                return false;
        }

        return true;
    }

    private InvalidDataException Missing(string canonicalName)
    {
        string candidates = string.Join(" or ", TensorNames.Candidates(canonicalName));
        return new InvalidDataException($"{DirectoryPath}: tensor {canonicalName} is missing; its name would be {candidates}");
    }
}
