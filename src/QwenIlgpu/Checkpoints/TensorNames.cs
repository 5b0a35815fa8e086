namespace QwenIlgpu;

/// <summary>
/// The naming that a checkpoint uses. Canonical names are those of the text model alone: <c>embed_tokens.weight</c>,
/// <c>layers.3.self_attn.q_proj.weight</c>, <c>norm.weight</c>, <c>lm_head.weight</c>. What has none (vision, multi-token
/// prediction, anything unknown) is skipped.
/// </summary>
internal sealed class TensorNames
{
    private const string Probe = "embed_tokens.weight";
    private const string Embedding = "embed_tokens.";
    private const string Head = "lm_head.";

    private static readonly string[] TextPrefixes = ["model.language_model.", "language_model.model.", "model."];
    private static readonly string[] HeadPrefixes = ["", "language_model."];
    private static readonly string[] Roots = ["embed_tokens.", "layers.", "norm."];

    private readonly string textPrefix;
    private readonly string headPrefix;

    private TensorNames(string textPrefix, string headPrefix)
    {
        this.textPrefix = textPrefix;
        this.headPrefix = headPrefix;
    }

    /// <summary>Finds the naming by where the embedding and the head lie.</summary>
    public static TensorNames Detect<T>(string directory, IReadOnlyDictionary<string, T> tensors)
    {
        string[] texts = [.. TextPrefixes.Where(prefix => tensors.ContainsKey(prefix + Probe))];
        if (texts.Length == 0
            && QuantizedModules.CodeTensors.SelectMany(name => Candidates(Embedding + name)).FirstOrDefault(tensors.ContainsKey) is { } quantized)
            throw new NotSupportedException($"{directory}: holds {quantized}; embeddings are read only as F32, F16 or BF16");
        if (texts.Length == 0)
            throw new InvalidDataException($"{directory}: holds no embedding, neither {string.Join(" nor ", Candidates(Probe))}");
        if (texts.Length > 1)
            throw new InvalidDataException($"{directory}: holds two embeddings, {texts[0] + Probe} and {texts[1] + Probe}");

        bool Holds(string module) => QuantizedModules.CodeTensors.Any(name => tensors.ContainsKey(module + name));
        string[] heads = [.. HeadPrefixes.Where(prefix => Holds(prefix + Head))];
        if (heads.Length > 1)
            throw new InvalidDataException($"{directory}: holds two output heads, {heads[0]}{Head} and {heads[1]}{Head}");
        return new TensorNames(texts[0], heads.Length == 1 ? heads[0] : string.Empty);
    }

    /// <summary>The name under which this checkpoint stores a tensor.</summary>
    public string Stored(string canonicalName) => (IsHead(canonicalName) ? headPrefix : textPrefix) + canonicalName;

    /// <summary>Every name under which a checkpoint may store a tensor, for messages.</summary>
    public static IEnumerable<string> Candidates(string canonicalName) =>
        (IsHead(canonicalName) ? HeadPrefixes : TextPrefixes).Select(prefix => prefix + canonicalName);

    /// <summary>True for tensors of the text model; the others are skipped.</summary>
    public bool IsText(string storedName)
    {
        if (storedName.StartsWith(headPrefix + Head, StringComparison.Ordinal))
            return true;
        if (!storedName.StartsWith(textPrefix, StringComparison.Ordinal))
            return false;
        ReadOnlySpan<char> rest = storedName.AsSpan(textPrefix.Length);
        foreach (string root in Roots)
        {
            if (rest.StartsWith(root, StringComparison.Ordinal))
                return true;
        }

        return false;
    }

    /// <summary>True for tensors of multi-token prediction, which are among those that are skipped.</summary>
    public static bool IsMtp(string storedName) =>
        storedName.StartsWith("mtp.", StringComparison.Ordinal) || storedName.Contains(".mtp.", StringComparison.Ordinal);

    // "lm_head" itself is asked for too, as a module's name.
    private static bool IsHead(string canonicalName) => canonicalName.StartsWith("lm_head", StringComparison.Ordinal);
}
