namespace QwenIlgpu;

/// <summary>
/// Places every tensor of a graph in one arena so that two tensors overlap only when no node needs both. First fit at the lowest
/// free offset, larger tensors first.
/// </summary>
internal static class BufferPlan
{
    private const long AlignmentBytes = 256;

    /// <summary>Sets each tensor's offset and returns the arena's size in bytes.</summary>
    public static long Assign(IReadOnlyList<Node> nodes)
    {
        Dictionary<Tensor, (int First, int Last)> lifetimes = Lifetimes(nodes);
        var placed = new List<Place>(lifetimes.Count);      // in order of their offsets
        long arenaBytes = 0;
        foreach (Tensor tensor in lifetimes.Keys.OrderByDescending(t => t.SizeBytes).ThenBy(t => lifetimes[t].First))
        {
            (int first, int last) = lifetimes[tensor];
            long offset = 0;
            foreach (Place other in placed)
            {
                if (other.First > last || other.Last < first)
                    continue;
                if (offset + tensor.SizeBytes <= other.OffsetBytes)
                    break;
                offset = Math.Max(offset, other.EndBytes);
            }

            tensor.OffsetBytes = offset;
            var place = new Place(first, last, offset, Align(offset + tensor.SizeBytes));
            int at = placed.FindIndex(p => p.OffsetBytes > offset);
            placed.Insert(at < 0 ? placed.Count : at, place);
            arenaBytes = Math.Max(arenaBytes, place.EndBytes);
        }

        return arenaBytes;
    }

    /// <summary>Index of the first and last node that touches each tensor; an output lasts to the end.</summary>
    public static Dictionary<Tensor, (int First, int Last)> Lifetimes(IReadOnlyList<Node> nodes)
    {
        var lifetimes = new Dictionary<Tensor, (int First, int Last)>();
        for (int i = 0; i < nodes.Count; i++)
        {
            foreach (Tensor tensor in nodes[i].Reads)
            {
                if (!lifetimes.ContainsKey(tensor))
                    throw new InvalidOperationException($"node {i} ({nodes[i]}) reads {tensor} before any node has written it");
            }

            foreach (Tensor tensor in nodes[i].Reads.Concat(nodes[i].Writes))
            {
                int first = lifetimes.TryGetValue(tensor, out (int First, int Last) known) ? known.First : i;
                lifetimes[tensor] = (first, tensor.Role == TensorRole.Output ? nodes.Count - 1 : i);
            }
        }

        return lifetimes;
    }

    /// <summary>Where a tensor lies while it lives.</summary>
    private readonly record struct Place(int First, int Last, long OffsetBytes, long EndBytes);

    private static long Align(long bytes) => (bytes + AlignmentBytes - 1) / AlignmentBytes * AlignmentBytes;
}
