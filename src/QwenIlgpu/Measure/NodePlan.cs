namespace QwenIlgpu;

/// <summary>What a recorded step must take at least: nodes that do the same in several layers together, each by its bytes.</summary>
internal sealed class NodePlan
{
    private NodePlan(IReadOnlyList<NodeKind> kinds, int contextTokens, double bytesPerSecond) =>
        (Kinds, ContextTokens, BytesPerSecond) = (kinds, contextTokens, bytesPerSecond);

    /// <summary>In the order in which the step meets them first.</summary>
    public IReadOnlyList<NodeKind> Kinds { get; }

    public int ContextTokens { get; }

    public double BytesPerSecond { get; }

    public int Nodes => Kinds.Sum(k => k.Nodes);

    public int Launches => Kinds.Sum(k => k.Launches);

    public long Bytes => Kinds.Sum(k => k.Bytes);

    public double Microseconds => Bytes / BytesPerSecond * 1e6;

    /// <summary>The plan of a recorded graph, its caches holding so many tokens.</summary>
    public static NodePlan Of(OpGraph graph, int contextTokens, double bytesPerSecond)
    {
        NodeKind[] kinds =
        [
            .. graph.Nodes.GroupBy(n => (Part: n.Scope?.Part ?? "", n.Op, Writes: WritesOf(n), Bytes: n.MovedBytesAt(contextTokens)))
                .Select(g => new NodeKind(
                    g.Key.Part, g.Key.Op, g.Key.Writes, g.Count(), g.Sum(n => n.LaunchCount), g.Sum(n => n.MovedBytesAt(contextTokens)))),
        ];
        return new NodePlan(kinds, contextTokens, bytesPerSecond);
    }

    public double MicrosecondsOf(NodeKind kind) => kind.Bytes / BytesPerSecond * 1e6;

    private static string WritesOf(Node node) =>
        string.Join(", ", node.Writes.Where(t => t.Role != TensorRole.Scratch).Select(t => t.ToString()));
}

/// <summary>Nodes that are alike but for their layer.</summary>
/// <param name="Scope">Which part of a layer; empty before and behind the layers.</param>
/// <param name="Op">The operation.</param>
/// <param name="Writes">Names and shapes of what each writes.</param>
/// <param name="Nodes">How many there are.</param>
/// <param name="Launches">Their launches together.</param>
/// <param name="Bytes">Least bytes that they move together.</param>
internal sealed record NodeKind(string Scope, string Op, string Writes, int Nodes, int Launches, long Bytes);
