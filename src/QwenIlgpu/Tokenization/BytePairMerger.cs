namespace QwenIlgpu;

/// <summary>
/// Byte-pair merging in O(n log n), for pieces so long that the library's loop would take superlinear time: the best-ranked pair of
/// all, leftmost first, until none is left.
/// </summary>
internal sealed class BytePairMerger
{
    private readonly int[] byteIds = new int[256];
    private readonly Dictionary<ulong, Merge> merges;

    private readonly record struct Merge(int Rank, int Id);

    private readonly record struct Candidate(int Left, int LeftId, int RightId, int MergedId);

    /// <summary>Tokens are written in the byte alphabet; each merge is "left right", best rank first.</summary>
    public BytePairMerger(Dictionary<string, int> vocabulary, IReadOnlyList<string> merges)
    {
        for (int value = 0; value < 256; value++)
            byteIds[value] = vocabulary[ByteToken(value)];

        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = vocabulary.GetAlternateLookup<ReadOnlySpan<char>>();
        this.merges = new(merges.Count);
        for (int rank = 0; rank < merges.Count; rank++)
            Add(merges[rank], rank, ids);
    }

    /// <summary>A vocabulary without a token for each byte could not write every text.</summary>
    public static void CheckBytes(Dictionary<string, int> vocabulary)
    {
        for (int value = 0; value < 256; value++)
            if (!vocabulary.ContainsKey(ByteToken(value)))
                throw new InvalidDataException($"the vocabulary has no token for byte {value} ('{ByteToken(value)}')");
    }

    /// <summary>Appends the ids of one piece, given as UTF-8.</summary>
    public void Encode(ReadOnlySpan<byte> piece, List<int> output)
    {
        // A linked list over the places of the bytes: a merge keeps its left place and drops its right one (id -1).
        int[] ids = new int[piece.Length];
        int[] next = new int[piece.Length];
        int[] previous = new int[piece.Length];
        PriorityQueue<Candidate, long> queue = new(piece.Length);
        for (int i = 0; i < piece.Length; i++)
        {
            ids[i] = byteIds[piece[i]];
            next[i] = i + 1 < piece.Length ? i + 1 : -1;
            previous[i] = i - 1;
        }

        for (int i = 0; i + 1 < piece.Length; i++)
            Enqueue(queue, i, ids[i], ids[i + 1]);

        while (queue.TryDequeue(out Candidate candidate, out _))
        {
            int left = candidate.Left;
            int right = next[left];
            if (ids[left] != candidate.LeftId || right < 0 || ids[right] != candidate.RightId) continue;

            ids[left] = candidate.MergedId;
            ids[right] = -1;
            next[left] = next[right];
            if (next[left] >= 0)
            {
                previous[next[left]] = left;
                Enqueue(queue, left, ids[left], ids[next[left]]);
            }

            if (previous[left] >= 0) Enqueue(queue, previous[left], ids[previous[left]], ids[left]);
        }

        for (int i = piece.IsEmpty ? -1 : 0; i >= 0; i = next[i])
            output.Add(ids[i]);
    }

    private void Add(string merge, int rank, Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids)
    {
        int space = merge.IndexOf(' ', StringComparison.Ordinal);
        ReadOnlySpan<char> left = merge.AsSpan(0, space);
        ReadOnlySpan<char> right = merge.AsSpan(space + 1);
        merges[Pair(ids[left], ids[right])] = new Merge(rank, ids[string.Concat(left, right)]);
    }

    private void Enqueue(PriorityQueue<Candidate, long> queue, int left, int leftId, int rightId)
    {
        if (merges.TryGetValue(Pair(leftId, rightId), out Merge merge))
            queue.Enqueue(new Candidate(left, leftId, rightId, merge.Id), ((long)merge.Rank << 32) | (uint)left);
    }

    private static string ByteToken(int value) => ByteAlphabet.ToCharacter((byte)value).ToString();

    private static ulong Pair(int left, int right) => ((ulong)(uint)left << 32) | (uint)right;
}
