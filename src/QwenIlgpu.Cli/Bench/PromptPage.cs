using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Bench;

/// <summary>The plan of prompts as a Markdown page, or as JSON.</summary>
internal static class PromptPage
{
    private static readonly int[] Prompts = [512, 2048, 8192, 32768];
    private static readonly int[] Steps = [512, 2048];

    public static string Write(string model, string command, PromptPlan plan, int[] tokens)
    {
        PrefillRates rates = plan.Rates;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Prompts of {model} on an {rates.Device}: predicted, not measured\n\n");
        text.Append(CultureInfo.InvariantCulture, $"`{command}` records prefill steps as a GPU runs them. Matmuls are predicted from the tiles' own counts:\n");
        text.Append(CultureInfo.InvariantCulture, $"tensor cores at {rates.TensorShare:P0} of {rates.PeakFlops / 1e12:N0} TFLOP/s, as mma.sync reaches, {PrefillRates.L2BytesPerClock} bytes a clock from L2 to each of\n");
        text.Append(CultureInfo.InvariantCulture, $"{rates.Multiprocessors} multiprocessors, {rates.ReachedBytesPerSecond / 1e9:N0} GB/s of memory, waves of groups; only the slowest of these counts, with the tile\n");
        text.Append(CultureInfo.InvariantCulture, $"that takes the least, so that a GPU will take longer rather than less. Attention is counted at {H100.AttentionFlopsPerSecond / 1e12:N0} TFLOP/s, the delta rule at {H100.DeltaMicrosecondsPerToken * 8192 / 1000:F1} ms a layer\n");
        text.Append(CultureInfo.InvariantCulture, $"for 8,192 tokens, all else by its bytes and {H100.LaunchMicroseconds} µs a launch.\n\n");
        text.Append("## Matmuls\n\n| weights | tokens | in a step | tile | waves | GFLOP | MB | µs | TFLOP/s | of peak |\n|---|---:|---:|---|---:|---:|---:|---:|---:|---:|\n");
        foreach (PlannedMatMul m in tokens.SelectMany(plan.MatMulsOf).Distinct().OrderBy(m => m.Shape.ToString(), StringComparer.Ordinal).ThenBy(m => m.Tokens))
        {
            PrefillPrediction p = m.Prediction;
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {m.Shape.ToString().Replace("|", "\\|", StringComparison.Ordinal)} | {m.Tokens:N0} | {m.Count} | {PrefillTiles.NameOf(m.Tile)} | {p.Waves} | {p.Flops / 1e9:F1} | {p.Bytes / 1e6:F1} | {p.Microseconds:F1} | {p.TeraflopsPerSecond:F0} | {p.TeraflopsPerSecond * 1e12 / rates.PeakFlops:P0} |\n");
        }

        IReadOnlyDictionary<string, double>[] steps = [.. tokens.Select(m => plan.MicrosecondsByOp(m, 0))];
        text.Append("\n## Steps at the beginning of a prompt, ms\n\n| op |").AppendJoin("", tokens.Select(m => string.Create(CultureInfo.InvariantCulture, $" {m:N0} |")));
        text.Append("\n|---|").Insert(text.Length, "---:|", tokens.Length).Append('\n');
        foreach (string op in steps.SelectMany(s => s.Keys).Distinct())
            Row(op, [.. steps.Select(s => s.GetValueOrDefault(op))]);
        Row("**all**", [.. steps.Select(s => s.Values.Sum())]);
        text.Append("\n## Prompts\n\n| tokens |").AppendJoin("", Steps.Select(s => string.Create(CultureInfo.InvariantCulture, $" ms in steps of {s:N0} | tokens/s |")));
        text.Append("\n|---:|").Insert(text.Length, "---:|", 2 * Steps.Length).Append('\n');
        foreach (int prompt in Prompts)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {prompt:N0} |");
            foreach (int step in Steps)
                text.Append(CultureInfo.InvariantCulture, $" {plan.SecondsOf(prompt, step) * 1e3:F0} | {prompt / plan.SecondsOf(prompt, step):F0} |");
            text.Append('\n');
        }

        return text.ToString();

        void Row(string name, double[] microseconds)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {name} |");
            foreach (double us in microseconds)
                text.Append(CultureInfo.InvariantCulture, $" {us / 1e3:F2} |");
            text.Append('\n');
        }
    }

    public static JsonObject ToJson(string model, PromptPlan plan, int[] tokens) => new()
    {
        ["kind"] = "prompt plan",
        ["model"] = model,
        ["device"] = plan.Rates.Device,
        ["matmuls"] = new JsonArray([.. tokens.SelectMany(plan.MatMulsOf).Distinct().Select(m => new JsonObject
        {
            ["weights"] = m.Shape.ToString(),
            ["tokens"] = m.Tokens,
            ["count"] = m.Count,
            ["tile"] = PrefillTiles.NameOf(m.Tile),
            ["waves"] = m.Prediction.Waves,
            ["flops"] = m.Prediction.Flops,
            ["bytes"] = JsonOutput.Rounded(m.Prediction.Bytes, 0),
            ["predicted_us"] = JsonOutput.Rounded(m.Prediction.Microseconds, 2),
        })]),
        ["prompts"] = new JsonArray([.. Prompts.SelectMany(_ => Steps, (prompt, step) => new JsonObject
        {
            ["prompt_tokens"] = prompt,
            ["step_tokens"] = step,
            ["predicted_tokens_per_second"] = JsonOutput.Rounded(prompt / plan.SecondsOf(prompt, step), 1),
        })]),
    };
}
