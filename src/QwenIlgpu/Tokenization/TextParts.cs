using System.Collections.Frozen;
using System.Runtime.ExceptionServices;

namespace QwenIlgpu;

/// <summary>Parts of a checkpoint, besides its weights, that a caller is going to use.</summary>
[Flags]
internal enum ModelParts
{
    None = 0,

    /// <summary>tokenizer.json and tokenizer_config.json.</summary>
    Tokenizer = 1,

    /// <summary>generation_config.json.</summary>
    Generation = 2,

    /// <summary>The ids that end a turn.</summary>
    EndIds = 4,

    /// <summary>The chat template.</summary>
    ChatTemplate = 8,
}

/// <summary>
/// What a checkpoint holds besides weights, read before them. What the caller is going to use must be right; of the rest, a fault meets
/// whoever asks for it after all.
/// </summary>
internal sealed class TextParts
{
    private readonly Deferred<GenerationConfig?> generation;
    private readonly Deferred<FrozenSet<int>> endIds;
    private readonly Deferred<ChatTemplate> template;

    private TextParts(
        QwenTokenizer? tokenizer, Deferred<GenerationConfig?> generation, Deferred<FrozenSet<int>> endIds, Deferred<ChatTemplate> template)
    {
        Tokenizer = tokenizer;
        (this.generation, this.endIds, this.template) = (generation, endIds, template);
    }

    /// <summary>Null where nobody was going to use it.</summary>
    public QwenTokenizer? Tokenizer { get; }

    public GenerationConfig? Generation => generation.Value;

    public IReadOnlySet<int> EndIds => endIds.Value;

    /// <summary>The ids that end a turn; none where a file that names them is at fault, which stops every generation.</summary>
    public IReadOnlySet<int> ReadableEndIds => endIds.Error is null ? endIds.Value : FrozenSet<int>.Empty;

    public ChatTemplate Template => template.Value;

    /// <summary>What stands around thoughts; where the template does not say, what does in this family.</summary>
    public ThinkMarkers Thinking => (template.Error is null ? template.Value.Shape.Thinking : null) ?? ThinkMarkers.Qwen;

    /// <summary>
    /// Reads the parts of a checkpoint directory. Where the caller has not said what it uses, the tokenizer must be right, and a fault of
    /// the others is worth a notice.
    /// </summary>
    public static TextParts Load(string directory, int vocabSize, string? templateName, ModelParts? used, Action<string> notice)
    {
        bool Uses(ModelParts part) => (used ?? ModelParts.Tokenizer).HasFlag(part);
        Deferred<T> Read<T>(ModelParts part, Func<T> read)
        {
            Deferred<T> deferred = Deferred<T>.Of(read);
            if (Uses(part))
                _ = deferred.Value;
            else if (used is null && deferred.Error is { } error)
                notice(error.Message);
            return deferred;
        }

        Deferred<ChatTemplate> template = Read(ModelParts.ChatTemplate, () => LoadTemplate(directory, templateName));
        if (template is { Error: null, Value.Notice: { } differs })
            notice($"{directory}: {differs}");
        QwenTokenizer? tokenizer = Uses(ModelParts.Tokenizer) ? LoadTokenizer(directory, vocabSize, notice) : null;
        Deferred<GenerationConfig?> generation = Read(ModelParts.Generation, () => GenerationConfig.Load(directory, notice));
        Deferred<FrozenSet<int>> endIds = tokenizer is null
            ? Deferred<FrozenSet<int>>.Of(() => FrozenSet<int>.Empty)
            : Read(ModelParts.EndIds, () => StopSet.Read(
                directory, vocabSize, generation.Value, tokenizer, template.Error is null ? template.Value : null, notice));
        return new TextParts(tokenizer, generation, endIds, template);
    }

    // What answers look like is found out now, not when one is waited for.
    private static ChatTemplate LoadTemplate(string directory, string? name)
    {
        ChatTemplate template = ChatTemplate.Load(directory, name);
        _ = template.Shape;
        return template;
    }

    private static QwenTokenizer LoadTokenizer(string directory, int vocabSize, Action<string> notice)
    {
        QwenTokenizer tokenizer = QwenTokenizer.Load(directory);
        foreach (string contradiction in tokenizer.Notices)
            notice($"{directory}: {contradiction}");
        return tokenizer.VocabularySize <= vocabSize ? tokenizer : throw new InvalidDataException(
            $"{directory}: tokenizer.json has ids up to {tokenizer.VocabularySize - 1}, config.json's vocab_size is {vocabSize}");
    }

    /// <summary>What a file held, or why it could not be read.</summary>
    private sealed class Deferred<T>(T? value, Exception? error)
    {
        public Exception? Error => error;

        public T Value
        {
            get
            {
                if (error is not null)
                    ExceptionDispatchInfo.Throw(error);
                return value!;
            }
        }

        public static Deferred<T> Of(Func<T> read)
        {
            try
            {
                return new(read(), null);
            }
            catch (Exception e) when (CheckpointFile.IsFault(e))
            {
                return new(default, e);
            }
        }
    }
}
