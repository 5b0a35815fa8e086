using System.Text.RegularExpressions;

namespace QwenIlgpu;

/// <summary>What a recorded step must take at least: nodes that do the same in several layers together, each by its bytes.</summary>
internal sealed partial class NodePlan
{
    /// <summary>Memory bandwidth that an H100 reaches: 92 % of 3.35 TB/s.</summary>
    public const double H100BytesPerSecond = 3.35e12 * 0.92;

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
            .. graph.Nodes.GroupBy(n => (Scope: AnyLayer(n.Scope), n.Op, Writes: WritesOf(n), Bytes: n.MovedBytesAt(contextTokens)))
                .Select(g => new NodeKind(
                    g.Key.Scope, g.Key.Op, g.Key.Writes, g.Count(), g.Sum(n => n.LaunchCount), g.Sum(n => n.MovedBytesAt(contextTokens)))),
        ];
        return new NodePlan(kinds, contextTokens, bytesPerSecond);
    }

    /// <summary>A scope with its layer's number left out: <c>layers.3.mlp</c> is <c>mlp</c>.</summary>
    public static string AnyLayer(string scope) => LayerNumber().Replace(scope, "");

    public double MicrosecondsOf(NodeKind kind) => kind.Bytes / BytesPerSecond * 1e6;

    private static string WritesOf(Node node) =>
        string.Join(", ", node.Writes.Where(t => t.Role != TensorRole.Scratch).Select(t => t.ToString()));

    [GeneratedRegex(@"^layers\.\d+\.")]
    private static partial Regex LayerNumber();
}

/// <summary>Nodes that are alike but for their layer.</summary>
/// <param name="Scope">Where in a layer.</param>
/// <param name="Op">The operation.</param>
/// <param name="Writes">Names and shapes of what each writes.</param>
/// <param name="Nodes">How many there are.</param>
/// <param name="Launches">Their launches together.</param>
/// <param name="Bytes">Least bytes that they move together.</param>
internal sealed record NodeKind(string Scope, string Op, string Writes, int Nodes, int Launches, long Bytes);
