using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Bench;

/// <summary>The plan of a decoded token as a Markdown page, or as JSON.</summary>
internal static class PlanPage
{
    public static string Write(string model, string command, IReadOnlyList<NodePlan> plans)
    {
        NodePlan first = plans[0];
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# One decoded token of {model}: predicted, not measured\n\n");
        text.Append(CultureInfo.InvariantCulture, $"`{command}` records the step as a GPU runs it and predicts each node as its bytes over ");
        text.Append(CultureInfo.InvariantCulture, $"{first.BytesPerSecond / 1e9:N0} GB/s.\nNodes that differ by their layer only share a line. ");
        text.Append(CultureInfo.InvariantCulture, $"{first.ContextTokens:N0} tokens of context.\n\n");
        text.Append("| where | op | writes | nodes | launches | MB each | µs each | µs in all |\n|---|---|---|---:|---:|---:|---:|---:|\n");
        foreach (NodeKind kind in first.Kinds)
        {
            double microseconds = first.MicrosecondsOf(kind);
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {kind.Scope} | {kind.Op} | {kind.Writes} | {kind.Nodes} | {kind.Launches} | {kind.Bytes / 1e6 / kind.Nodes:F2} | {microseconds / kind.Nodes:F2} | {microseconds:F1} |\n");
        }

        text.Append(CultureInfo.InvariantCulture, $"| **all** | | | {first.Nodes} | {first.Launches} | | | {first.Microseconds:F1} |\n\n");
        text.Append("| context | GB a token | predicted µs | predicted tokens/s |\n|---:|---:|---:|---:|\n");
        foreach (NodePlan plan in plans)
            text.Append(CultureInfo.InvariantCulture, $"| {plan.ContextTokens:N0} | {plan.Bytes / 1e9:F3} | {plan.Microseconds:F0} | {1e6 / plan.Microseconds:F1} |\n");
        return text.ToString();
    }

    public static JsonObject ToJson(string model, IReadOnlyList<NodePlan> plans) => new()
    {
        ["kind"] = "plan",
        ["model"] = model,
        ["bandwidth_gb_per_s"] = JsonOutput.Rounded(plans[0].BytesPerSecond / 1e9, 2),
        ["nodes"] = plans[0].Nodes,
        ["launches_per_token"] = plans[0].Launches,
        ["contexts"] = new JsonArray([.. plans.Select(p => new JsonObject
        {
            ["context_tokens"] = p.ContextTokens,
            ["bytes_per_token"] = p.Bytes,
            ["predicted_us"] = JsonOutput.Rounded(p.Microseconds, 1),
            ["predicted_tokens_per_second"] = JsonOutput.Rounded(1e6 / p.Microseconds, 2),
        })]),
        ["kinds"] = new JsonArray([.. plans[0].Kinds.Select(k => new JsonObject
        {
            ["scope"] = k.Scope,
            ["op"] = k.Op,
            ["writes"] = k.Writes,
            ["nodes"] = k.Nodes,
            ["launches"] = k.Launches,
            ["bytes"] = k.Bytes,
            ["predicted_us"] = JsonOutput.Rounded(plans[0].MicrosecondsOf(k), 2),
        })]),
    };
}
