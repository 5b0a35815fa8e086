using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// What the steps of a prompt must take on a device of known rates, from recorded steps: matmuls as <see cref="PrefillCost"/> has them,
/// attention and the delta rule by what their designs state, all else by bytes, and a launch at least its own time.
/// </summary>
internal sealed class PromptPlan(
    QwenModel model, KvType kvType, PrefillRates rates, DeltaStateType stateType = DeltaStateType.F32)
{
    private readonly Dictionary<int, OpGraph> graphs = [];

    public PrefillRates Rates { get; } = rates;

    /// <summary>Matmuls of a step of so many tokens, those that are alike together, with their number, tile and predicted time.</summary>
    public IReadOnlyList<PlannedMatMul> MatMulsOf(int tokens) =>
    [
        .. GraphOf(tokens).Nodes.Where(n => n.MatMul is not null)
            .GroupBy(n => (Shape: n.MatMul!, Tokens: n.Reads[0].Rows))
            .Select(g =>
            {
                (PrefillTile tile, PrefillPrediction prediction) = Predict(g.Key.Shape, g.Key.Tokens);
                return new PlannedMatMul(g.Key.Shape, g.Key.Tokens, g.Count(), tile, prediction);
            }),
    ];

    /// <summary>Times of a step's nodes by operation, behind so many tokens of the same prompt.</summary>
    public IReadOnlyDictionary<string, double> MicrosecondsByOp(int tokens, int position) => GraphOf(tokens).Nodes
        .GroupBy(n => n.MatMul is null ? n.Op : n.Scope is null ? "head" : "matmul")
        .ToDictionary(g => g.Key, g => g.Sum(n => MicrosecondsOf(n, tokens, position)));

    /// <summary>Seconds of a prompt in steps of at most so many tokens; the last alone has logits.</summary>
    public double SecondsOf(int promptTokens, int stepTokens)
    {
        double microseconds = 0;
        for (int position = 0; position < promptTokens; position += stepTokens)
        {
            int tokens = Math.Min(stepTokens, promptTokens - position);
            bool isLast = position + tokens == promptTokens;
            IReadOnlyList<Node> nodes = GraphOf(tokens).Nodes;
            int run = isLast ? nodes.Count : EndOfLayers(nodes);
            microseconds += nodes.Take(run).Sum(n => MicrosecondsOf(n, tokens, position));
        }

        return microseconds / 1e6;
    }

    private static int EndOfLayers(IReadOnlyList<Node> nodes)
    {
        int end = nodes.Count;
        while (nodes[end - 1].Scope is null)
            end--;
        return end;
    }

    private double MicrosecondsOf(Node node, int tokens, int position)
    {
        if (node.MatMul is { } shape)
            return Predict(shape, node.Reads[0].Rows).Prediction.Microseconds;
        double launches = node.LaunchCount * H100.LaunchMicroseconds;
        return launches + node.Work switch
        {
            NodeWork.PrefillAttention => AttentionFlops(tokens, position) / H100.AttentionFlopsPerSecond * 1e6,
            NodeWork.DeltaPrefill => tokens * H100.DeltaMicrosecondsPerToken,
            _ => node.MovedBytes / Rates.ReachedBytesPerSecond * 1e6,
        };
    }

    // Two products of a head's width for each pair of a query and a key at or before it.
    private double AttentionFlops(int tokens, int position)
    {
        double pairs = ((double)tokens * position) + (tokens * (tokens + 1.0) / 2);
        return 4 * pairs * model.Config.NumAttentionHeads * model.Config.HeadDim;
    }

    private (PrefillTile Tile, PrefillPrediction Prediction) Predict(PrefillShape shape, int tokens)
    {
        PrefillTile tile = PrefillCost.BestTile(Rates, Rates.Multiprocessors, shape, tokens);
        return (tile, PrefillCost.Predict(Rates, Rates.Multiprocessors, shape, tokens, tile));
    }

    private OpGraph GraphOf(int tokens)
    {
        if (!graphs.TryGetValue(tokens, out OpGraph? graph))
            graphs.Add(tokens, graph = StepPlan.RecordPrefill(model, kvType, tokens, stateType));
        return graph;
    }
}

/// <summary>Matmuls of a step that are alike.</summary>
/// <param name="Shape">What they multiply.</param>
/// <param name="Tokens">By so many tokens.</param>
/// <param name="Count">How many there are.</param>
/// <param name="Tile">The tile of least predicted time.</param>
/// <param name="Prediction">Of each.</param>
internal sealed record PlannedMatMul(PrefillShape Shape, int Tokens, int Count, PrefillTile Tile, PrefillPrediction Prediction);
