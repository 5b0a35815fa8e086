using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace QwenIlgpu;

/// <summary>
/// Qwen's byte-level BPE from a checkpoint's tokenizer.json: text ↔ ids as Hugging Face's tokenizers give them. Safe to share between
/// threads.
/// </summary>
internal sealed class QwenTokenizer
{
    // Longer pieces go through BytePairMerger: the library's merge loop takes superlinear time. Few prompts have one.
    private const int LongPiece = 512;

    private readonly BpeTokenizer bpe;
    private readonly Lazy<BytePairMerger> longPieces;
    private readonly QwenPattern pattern;
    private readonly AddedTokenMatcher anyToken;
    private readonly AddedTokenMatcher rawTokens;
    private readonly AddedTokenMatcher normalizedTokens;
    private readonly Dictionary<int, AddedToken> addedTokens;
    private readonly Dictionary<string, int> addedIds;
    private readonly TokenBytes tokenBytes;

    private QwenTokenizer(TokenizerFile file)
    {
        BytePairMerger.CheckBytes(file.Vocabulary);
        CheckAddedTokens(file);
        // Most of the start-up of a full vocabulary is the library's; the rest runs beside it.
        Task<BpeTokenizer> library = Task.Run(
            () => BpeTokenizer.Create(new BpeOptions(file.Vocabulary) { Merges = file.Merges, ByteLevel = true }));
        Notices = file.Notices;
        addedTokens = file.AddedTokens;
        addedIds = addedTokens.Values.ToDictionary(token => token.Content, token => token.Id);
        pattern = file.Pattern;
        anyToken = new AddedTokenMatcher(addedTokens.Values, static content => content);
        rawTokens = new AddedTokenMatcher(addedTokens.Values.Where(token => !token.Normalized), static content => content);
        normalizedTokens = new AddedTokenMatcher(addedTokens.Values.Where(token => token.Normalized), Nfc.Normalize);
        tokenBytes = new TokenBytes(file.Vocabulary, addedTokens.Values);
        longPieces = new Lazy<BytePairMerger>(() => new BytePairMerger(file.Vocabulary, file.Merges));
        bpe = library.GetAwaiter().GetResult();
    }

    /// <summary>No id from here on stands for a token, though the model may have rows of logits for it.</summary>
    public int VocabularySize => tokenBytes.Count;

    /// <summary>What tokenizer.json and tokenizer_config.json contradict each other in, and which counts.</summary>
    public IReadOnlyList<string> Notices { get; }

    /// <summary>Ids below <see cref="VocabularySize"/> that stand for no token, ascending; usually there are none.</summary>
    public IReadOnlyList<int> IdsWithoutToken => tokenBytes.Without;

    /// <summary>Loads tokenizer.json and tokenizer_config.json of a checkpoint directory.</summary>
    public static QwenTokenizer Load(string directory)
    {
        TokenizerFile file = TokenizerFile.Read(directory);
        try
        {
            return new QwenTokenizer(file);
        }
        catch (Exception error) when (error is InvalidDataException or InvalidOperationException or ArgumentException)
        {
            throw new InvalidDataException($"{Path.Combine(directory, "tokenizer.json")}: {error.Message}", error);
        }
    }

    /// <summary>The ids of a text; control tokens written in it count as such only if asked for.</summary>
    public int[] Encode(string text, bool parseSpecial) => Encode(new RenderedPrompt(text, parseSpecial ? [new(0, text.Length)] : []));

    /// <summary>The ids of a prompt; control tokens count as such only where the template itself wrote all of one.</summary>
    public int[] Encode(RenderedPrompt prompt)
    {
        string text = Unicode.ReplaceUnpairedSurrogates(prompt.Text);
        List<int> ids = [];
        int done = 0;
        int range = 0;
        foreach ((AddedToken token, TextRange place) in rawTokens.Find(text, prompt.TemplateRanges))
        {
            if (done < place.Start)
                EncodeBetween(text, new TextRange(done, place.Start), prompt.TemplateRanges, ref range, ids);
            ids.Add(token.Id);
            done = place.End;
        }

        EncodeBetween(text, new TextRange(done, text.Length), prompt.TemplateRanges, ref range, ids);
        return [.. ids];
    }

    /// <summary>The text of ids. Bytes that are no UTF-8 become U+FFFD; ids without a token are left out.</summary>
    public string Decode(ReadOnlySpan<int> ids, bool skipSpecial = false)
    {
        List<byte> bytes = new(ids.Length * 4);
        foreach (int id in ids)
            bytes.AddRange(Bytes(id, skipSpecial));
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    /// <summary>The bytes of one id: none where it has no token, or is special and special tokens are skipped.</summary>
    public ReadOnlySpan<byte> Bytes(int id, bool skipSpecial = false) =>
        skipSpecial && addedTokens.TryGetValue(id, out AddedToken? token) && token.Special ? [] : tokenBytes[id];

    /// <summary>Whether the id stands for a token.</summary>
    public bool HasToken(int id) => tokenBytes.Has(id);

    /// <summary>The id of an added token by what it reads, such as <c>&lt;|im_end|&gt;</c>; null where there is none.</summary>
    public int? FindToken(string content) => addedIds.TryGetValue(content, out int id) ? id : null;

    /// <summary>Whether the id is an added token, which ordinary text never yields.</summary>
    public bool IsControl(int id) => addedTokens.ContainsKey(id);

    /// <summary>The first control token that a text spells out; null where there is none.</summary>
    public string? FindControlToken(string text) => anyToken.First(text)?.Content;

    /// <summary>Appends the ids of one piece: what the pattern takes as one.</summary>
    internal void EncodePiece(ReadOnlySpan<char> piece, int longPiece, List<int> ids)
    {
        if (piece.Length < longPiece)
        {
            ids.AddRange(bpe.EncodeToIds(piece, considerPreTokenization: false, considerNormalization: false));
            return;
        }

        byte[] bytes = new byte[Encoding.UTF8.GetByteCount(piece)];
        Encoding.UTF8.GetBytes(piece, bytes);
        longPieces.Value.Encode(bytes, ids);
    }

    private static void CheckAddedTokens(TokenizerFile file)
    {
        Dictionary<string, int> ids = [];
        foreach (AddedToken token in file.AddedTokens.Values)
        {
            if (!ids.TryAdd(token.Content, token.Id))
                throw new InvalidDataException($"added token \"{token.Content}\" has two ids, {ids[token.Content]} and {token.Id}");
            if (file.Vocabulary.TryGetValue(token.Content, out int other) && other != token.Id)
                throw new InvalidDataException($"added token \"{token.Content}\" has the id {token.Id}, in model.vocab {other}");
        }
    }

    // Text between tokens that are found in it as it is, normalised as a whole; then those that are found in that. The first template range
    // that may reach into it is known.
    private void EncodeBetween(string text, TextRange between, IReadOnlyList<TextRange> templateRanges, ref int firstRange, List<int> ids)
    {
        string part = text[between.Start..between.End];
        if (normalizedTokens.IsEmpty)
        {
            EncodeOrdinary(Nfc.Normalize(part), ids);
            return;
        }

        while (firstRange < templateRanges.Count && templateRanges[firstRange].End <= between.Start)
            firstRange++;
        List<TextRange> ranges = [];
        for (int i = firstRange; i < templateRanges.Count && templateRanges[i].Start < between.End; i++)
            ranges.Add(new(Math.Max(templateRanges[i].Start - between.Start, 0), Math.Min(templateRanges[i].End, between.End) - between.Start));
        string normal = Nfc.Normalize(part, ranges, out List<TextRange> moved);
        int done = 0;
        foreach ((AddedToken token, TextRange place) in normalizedTokens.Find(normal, moved))
        {
            EncodeOrdinary(normal.AsSpan(done, Math.Max(0, place.Start - done)), ids);
            ids.Add(token.Id);
            done = place.End;
        }

        EncodeOrdinary(normal.AsSpan(done), ids);
    }

    // Cut into pieces as a whole: they may straddle what the template and others wrote.
    private void EncodeOrdinary(ReadOnlySpan<char> rest, List<int> ids)
    {
        while (!rest.IsEmpty)
        {
            int length = pattern.PieceLength(rest);
            EncodePiece(rest[..length], LongPiece, ids);
            rest = rest[length..];
        }
    }
}
