using System.Collections.Frozen;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace QwenIlgpu;

/// <summary>
/// A model's weights on one device, with its tokenizer and chat template: immutable after loading and shareable by any number of
/// <see cref="Engine"/>s, all of which must be disposed first.
/// </summary>
/// <example>
/// A checkpoint in 16 bits, packed while it is loaded:
/// <code>
/// var options = new ModelOptions { Quantization = WeightQuantization.Int4, HeadQuantization = HeadQuantization.Int8 };
/// await using QwenModel model = await QwenModel.LoadAsync("/models/Qwen3.6-27B", options);
/// Console.WriteLine($"{model.DeviceName}: {model.WeightBytes / 1e9:F1} GB of weights");
/// </code>
/// </example>
public sealed class QwenModel : IAsyncDisposable
{
    private readonly DeviceMemory memory;
    private readonly Lock gate = new();
    private int borrowers;
    private bool disposed;

    private readonly TextParts? text;
    private readonly RopeScaling? ropeScaling;

    /// <summary>A model of weights that no checkpoint holds; it has neither tokenizer nor template, every id can be drawn.</summary>
    internal QwenModel(string name, ComputeDevice device, DeviceMemory memory, QwenWeights weights, QwenConfig config, ILoggerFactory loggers)
        : this(name, device, memory, weights, config, null, null, loggers)
    {
    }

    private QwenModel(
        string path, ComputeDevice device, DeviceMemory memory, QwenWeights weights, QwenConfig config, RopeScaling? ropeScaling, TextParts? text,
        ILoggerFactory loggers)
    {
        (Path, Device, this.memory, Weights) = (path, device, memory, weights);
        (Config, this.ropeScaling, this.text, Loggers) = (config, ropeScaling, text, loggers);
        VocabularySize = text?.Tokenizer?.VocabularySize ?? config.VocabSize;
    }

    /// <summary>Directory the model was loaded from.</summary>
    public string Path { get; }

    /// <summary>The GPU that holds the weights, or the processor with its threads.</summary>
    public string DeviceName => Device.Name;

    /// <summary>Longest sequence the model was made for, in tokens (`max_position_embeddings`), stretched where its rope scaling does.</summary>
    public int MaxContextTokens => Config.MaxPositionEmbeddings;

    /// <summary>Device memory that the weights take.</summary>
    public long WeightBytes => memory.AllocatedBytes;

    internal ComputeDevice Device { get; }

    internal QwenWeights Weights { get; }

    internal QwenConfig Config { get; }

    /// <summary>Ids that end a turn: those of every file that names some, and the chat template's.</summary>
    /// <exception cref="InvalidDataException">A file names an id that the vocabulary does not have.</exception>
    internal IReadOnlySet<int> EndIds => text?.EndIds ?? Config.EosTokenIds.ToFrozenSet();

    /// <summary>The same; none where a file is at fault, so that what generates nothing is not stopped by it.</summary>
    internal IReadOnlySet<int> ReadableEndIds => text?.ReadableEndIds ?? EndIds;

    /// <summary>The checkpoint's generation_config.json, if it has one.</summary>
    internal GenerationConfig? GenerationConfig => text?.Generation;

    /// <summary>Ids from 0 on that can be drawn: those up to the tokenizer's last.</summary>
    internal int VocabularySize { get; }

    /// <summary>Ids below <see cref="VocabularySize"/> that have no token and so cannot be drawn, ascending; none of a synthetic model.</summary>
    internal IReadOnlyList<int> IdsWithoutToken => text?.Tokenizer?.IdsWithoutToken ?? [];

    /// <summary>The ids that can be drawn, and those that end a turn as far as they can be read.</summary>
    internal SamplingVocabulary SamplingVocabulary => new(VocabularySize, ReadableEndIds, IdsWithoutToken);

    internal QwenTokenizer Tokenizer => text is null
        ? throw new NotSupportedException($"model {Path} is synthetic: it has no tokenizer")
        : text.Tokenizer ?? throw new NotSupportedException($"model {Path} was loaded without its tokenizer");

    internal ChatTemplate Template => text?.Template ?? throw new NotSupportedException($"model {Path} is synthetic: it has no chat template");

    /// <summary>What stands around thoughts in prompts and answers.</summary>
    internal ThinkMarkers Thinking => text?.Thinking ?? ThinkMarkers.Qwen;

    /// <summary>What states depend on: the checkpoint, how it was loaded, the device, and the words given.</summary>
    internal string Fingerprint(params IEnumerable<string> words) =>
        ModelFingerprint.Of(Path, words.Concat([DeviceName, $"{ropeScaling}", $"{WeightBytes} {Weights.BytesPerToken}"]));

    internal ILoggerFactory Loggers { get; }

    /// <summary>Loads a model from a directory in Hugging Face's layout: config.json, tokenizer.json, safetensors.</summary>
    /// <param name="path">The directory; <see cref="HuggingFaceCache.Find"/> has that of a repository.</param>
    /// <param name="options">Device, quantisation, template, logging; null takes the defaults.</param>
    /// <param name="progress">Told of every block read.</param>
    /// <param name="cancellationToken">Ends loading between two blocks.</param>
    /// <exception cref="DirectoryNotFoundException">There is no such directory.</exception>
    /// <exception cref="FileNotFoundException">A file that a checkpoint must have is missing.</exception>
    /// <exception cref="InvalidDataException">A file is damaged or contradicts another; the message names it.</exception>
    /// <exception cref="NotSupportedException">The checkpoint's architecture or encoding is not one that is read here, or the device is not there.</exception>
    /// <exception cref="InsufficientMemoryException">The weights do not fit the device's memory; nothing has been allocated.</exception>
    /// <remarks>What only some callers use stops only them: a faulty chat template refuses messages, faulty end ids refuse generation.</remarks>
    public static Task<QwenModel> LoadAsync(
        string path, ModelOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Task.Run(() => Load(path, options ?? new ModelOptions(), progress, cancellationToken), cancellationToken);
    }

    /// <summary>Token ids of a text, without any template.</summary>
    /// <param name="text">The text; unpaired surrogates count as U+FFFD.</param>
    /// <param name="parseSpecial">Whether control tokens written in the text, such as <c>&lt;|im_end|&gt;</c>, become their ids. Leave it off for text that users wrote.</param>
    public int[] Tokenize(string text, bool parseSpecial = false)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Tokenizer.Encode(text, parseSpecial);
    }

    /// <summary>Text of token ids; bytes that are no UTF-8 become U+FFFD.</summary>
    public string Detokenize(ReadOnlySpan<int> ids) => Tokenizer.Decode(ids);

    /// <summary>How many tokens a conversation has as a prompt: those that the engine begins with when it answers it.</summary>
    /// <param name="messages">The conversation so far.</param>
    /// <param name="template">Thinking, tools; null takes the template's defaults.</param>
    /// <exception cref="ArgumentException">The template refuses the messages.</exception>
    /// <exception cref="InvalidDataException">The checkpoint's chat template is at fault.</exception>
    /// <example>
    /// How much room an answer has:
    /// <code>
    /// PromptMessage[] messages = [PromptMessage.User("What is the capital of Norway?")];
    /// int room = engine.ContextTokens - model.CountTokens(messages);
    /// </code>
    /// </example>
    public int CountTokens(IReadOnlyList<PromptMessage> messages, ChatTemplateOptions? template = null) => IdsOf(messages, template).Length;

    /// <summary>Frees the weights and the device. A second call does nothing.</summary>
    /// <exception cref="InvalidOperationException">An engine still uses the model; the model stays as it is.</exception>
    public ValueTask DisposeAsync()
    {
        lock (gate)
        {
            if (borrowers > 0)
                throw new InvalidOperationException($"{borrowers} engine(s) still use the model {Path}; dispose them first");
            if (disposed)
                return ValueTask.CompletedTask;
            disposed = true;
        }

        memory.Dispose();
        Device.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>A model to plan with: its weights have their shapes, and <see cref="WeightBytes"/> what they would take, but they are not there.</summary>
    /// <param name="path">The checkpoint's directory.</param>
    /// <param name="options">How it would be loaded.</param>
    /// <param name="device">A device like the one that it would be loaded onto; the model owns it from now on.</param>
    /// <param name="notice">Told what loading would tell.</param>
    internal static QwenModel OpenUnfilled(string path, ModelOptions options, ComputeDevice device, Action<string>? notice = null)
    {
        using Checkpoint checkpoint = Checkpoint.Open(path, options.RopeScaling);
        checkpoint.RequireLoadable();
        var text = TextParts.Load(path, checkpoint.Config.VocabSize, options.ChatTemplate, options.UsedParts, notice ?? (_ => { }));
        return Unfilled(path, checkpoint, text, device, options, NullLoggerFactory.Instance);
    }

    /// <summary>The tools that an answer may call; null where none are offered or the template writes calls in a way that is not read.</summary>
    internal ToolSchemas? ToolsOf(ChatTemplateOptions? template) =>
        template?.OfferedTools is { } tools && Template.Shape.HasReadableCalls ? ToolSchemas.Of(tools) : null;

    /// <summary>Token ids of a conversation, as it is generated from.</summary>
    internal int[] IdsOf(IReadOnlyList<PromptMessage> messages, ChatTemplateOptions? template)
    {
        PromptMessage[] conversation = PromptMessage.CopyChecked(messages, nameof(messages));
        if (template?.Tools is { } tools && tools.Any(t => t is null))
            throw new ArgumentException("Tools holds null", nameof(template));
        if (template?.Variables?.ContainsKey("messages") == true)
            throw new ArgumentException("Variables holds messages, which the conversation is", nameof(template));
        try
        {
            return Tokenizer.Encode(Template.Render(conversation, template ?? new ChatTemplateOptions()));
        }
        catch (ArgumentException e) when (e.ParamName is null)
        {
            throw new ArgumentException(e.Message, nameof(messages), e);
        }
    }

    /// <summary>What a request's reader is told of an error: of non-finite logits, what of the checkpoint may have made them.</summary>
    internal async ValueTask<Exception> ExplainAsync(Exception error, CancellationToken cancellationToken) =>
        error is NonFiniteLogitsException nonFinite
            ? await Task.Run(() => Explain(nonFinite, cancellationToken), cancellationToken).ConfigureAwait(false)
            : error;

    /// <summary>That logits are non-finite, and what of the checkpoint may have made them so: reads all of its weights.</summary>
    internal InvalidDataException Explain(NonFiniteLogitsException error, CancellationToken cancellationToken) =>
        new($"{Path}: {error.Message} (NaN or infinite): {DescribeNonFiniteWeights(cancellationToken)}", error);

    /// <summary>Whether a token has this id; every id of a synthetic model counts.</summary>
    internal bool HasToken(int id) => text?.Tokenizer?.HasToken(id) ?? (uint)id < (uint)VocabularySize;

    /// <summary>
    /// Which tensor of the checkpoint is the first to hold a NaN or an infinity, in words for a message; reads all of the text model's
    /// tensors from disk.
    /// </summary>
    internal string DescribeNonFiniteWeights(CancellationToken cancellationToken)
    {
        if (text is null)
            return "its weights are synthetic: no checkpoint holds them";
        try
        {
            using Checkpoint checkpoint = Checkpoint.Open(Path, ropeScaling);
            return NonFiniteWeights.FirstIn(checkpoint, cancellationToken)?.ToString() ?? "no tensor of the checkpoint holds a non-finite value";
        }
        catch (Exception error) when (CheckpointFile.IsFault(error))
        {
            return $"the checkpoint cannot be read again to look for it: {error.Message}";
        }
    }

    /// <summary>Called by whoever runs steps on the device; the model cannot be disposed until <see cref="Return"/>.</summary>
    internal void Borrow()
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, this);
            borrowers++;
        }
    }

    internal void Return()
    {
        lock (gate)
            borrowers--;
    }

    private static QwenModel Unfilled(
        string path, Checkpoint checkpoint, TextParts text, ComputeDevice device, ModelOptions options, ILoggerFactory loggers)
    {
        var measuring = new DeviceMemory(device) { IsMeasuring = true };
        var source = new CheckpointWeights(checkpoint, device, measuring, upload: null, options, progress: null, CancellationToken.None);
        QwenWeights weights = new LayerBuilder(checkpoint.Config, source).Build();
        return new QwenModel(path, device, measuring, weights, checkpoint.Config, options.RopeScaling, text, loggers);
    }

    private static QwenModel Load(string path, ModelOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        ILoggerFactory loggers = options.LoggerFactory is { } given ? new GuardedLoggerFactory(given) : NullLoggerFactory.Instance;
        ILogger logger = loggers.CreateLogger<QwenModel>();
        long start = Stopwatch.GetTimestamp();
        void Notice(string notice) => Log.Notice(logger, notice);
        using Checkpoint checkpoint = Checkpoint.Open(path, options.RopeScaling);
        checkpoint.RequireLoadable();
        foreach (string notice in checkpoint.Notices)
            Notice(notice);
        // Tokenizer and template are read while the device is opened; what is said of them comes in order all the same.
        List<string> textNotices = [];
        Action<string> noticeOfText = textNotices.Add;
        Task<TextParts> reading = Task.Run(
            () => TextParts.Load(path, checkpoint.Config.VocabSize, options.ChatTemplate, options.UsedParts, notice => noticeOfText(notice)),
            CancellationToken.None);
        TextParts Read()
        {
            TextParts read = reading.GetAwaiter().GetResult();
            textNotices.ForEach(Notice);
            noticeOfText = Notice;                          // some come when a part is used
            return read;
        }

        ComputeDevice device;
        List<string> deviceNotices = [];
        try
        {
            device = ComputeDevice.Open(
                options.Device, target => CheckpointWeights.Measure(checkpoint, target, options), deviceNotices.Add, options.KernelCacheDirectory,
                options.CpuThreads, options.UsesShares);
        }
        catch
        {
            Read();
            deviceNotices.ForEach(Notice);
            throw;
        }

        var memory = new DeviceMemory(device);
        try
        {
            TextParts text = Read();
            deviceNotices.ForEach(Notice);
            using var upload = new StagedUpload(device);
            QwenModel unfilled = Unfilled(path, checkpoint, text, device, options, loggers);
            DeviceRoom.Of(device).RequireWeights(path, unfilled.WeightBytes);
            options.RequireRoom?.Invoke(unfilled);
            memory.Reserve(unfilled.WeightBytes);
            var source = new CheckpointWeights(checkpoint, device, memory, upload, options, progress, cancellation);
            QwenWeights weights = new LayerBuilder(checkpoint.Config, source).Build();
            var model = new QwenModel(path, device, memory, weights, checkpoint.Config, options.RopeScaling, text, loggers);
            TimeSpan elapsed = Stopwatch.GetElapsedTime(start);
            Log.Loaded(logger, path, model.DeviceName, memory.AllocatedBytes, elapsed);
            return model;
        }
        catch
        {
            memory.Dispose();
            device.Dispose();
            throw;
        }
    }
}

/// <summary>A request met logits that are NaN or infinite; its reader says what of the model may have made them.</summary>
internal sealed class NonFiniteLogitsException(int tokens) : Exception($"the logits after {tokens} tokens are non-finite");
