using System.Text;

namespace QwenIlgpu;

/// <summary>The bytes that each id stands for, in one block.</summary>
internal sealed class TokenBytes
{
    private readonly byte[] bytes;
    private readonly int[] starts; // [Count + 1]
    private readonly int[] without;

    /// <summary>Vocabulary in the byte alphabet, added tokens as they read.</summary>
    public TokenBytes(Dictionary<string, int> vocabulary, IReadOnlyCollection<AddedToken> addedTokens)
    {
        string?[] tokens = new string?[1 + Math.Max(
            vocabulary.Values.DefaultIfEmpty(-1).Max(), addedTokens.Select(token => token.Id).DefaultIfEmpty(-1).Max())];
        foreach ((string token, int id) in vocabulary)
        {
            if (tokens[id] is string other) throw new InvalidDataException($"id {id} is both \"{other}\" and \"{token}\"");
            tokens[id] = token;
        }

        foreach (AddedToken token in addedTokens)
        {
            if (tokens[token.Id] is string other && other != token.Content)
                throw new InvalidDataException($"id {token.Id} is both \"{other}\" and \"{token.Content}\"");
            tokens[token.Id] = null;
        }

        Dictionary<int, string> contents = addedTokens.ToDictionary(token => token.Id, token => token.Content);
        List<byte> all = new(tokens.Length * 8);
        List<int> missing = [];
        starts = new int[tokens.Length + 1];
        for (int id = 0; id < tokens.Length; id++)
        {
            if (contents.TryGetValue(id, out string? content)) all.AddRange(Encoding.UTF8.GetBytes(content));
            else if (tokens[id] is string token) Add(token, all);
            else missing.Add(id);
            starts[id + 1] = all.Count;
        }

        bytes = [.. all];
        without = [.. missing];
    }

    /// <summary>One more than the highest id.</summary>
    public int Count => starts.Length - 1;

    /// <summary>Ids below <see cref="Count"/> that have no token, ascending.</summary>
    public IReadOnlyList<int> Without => without;

    public bool Has(int id) => (uint)id < (uint)Count && Array.BinarySearch(without, id) < 0;

    /// <summary>None for an id that has no token.</summary>
    public ReadOnlySpan<byte> this[int id] => (uint)id < (uint)Count ? bytes.AsSpan(starts[id]..starts[id + 1]) : [];

    private static void Add(string token, List<byte> output)
    {
        foreach (char character in token)
        {
            int value = ByteAlphabet.ToByte(character);
            if (value < 0) throw new InvalidDataException($"token \"{token}\" holds '{character}', which stands for no byte");
            output.Add((byte)value);
        }
    }
}
