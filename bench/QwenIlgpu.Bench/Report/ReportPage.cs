using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Bench;

/// <summary>Result files as a Markdown page with pictures; predictions of the 27B stand where nothing was measured, and say so.</summary>
internal sealed class ReportPage(ResultFiles results, Prediction prediction, string heading)
{
    private const string NotMeasured = "not measured";
    private const string SyntheticModelName = "synthetic " + Prediction.Shape;
    private static readonly int[] Contexts = [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072];

    private readonly StringBuilder text = new();
    private readonly Dictionary<string, string> files = [];

    /// <summary>The files of the report by name: the page, its pictures, and everything it was made from.</summary>
    public IReadOnlyDictionary<string, string> Write()
    {
        text.Append(CultureInfo.InvariantCulture, $"# {heading}\n\n");
        string ceiling = results.ReadBytesPerSecond is { } read
            ? string.Create(CultureInfo.InvariantCulture, $"the measured read ceiling, {read / 1e9:N0} GB/s")
            : string.Create(CultureInfo.InvariantCulture, $"{prediction.BytesPerSecond / 1e9:N0} GB/s, which is 92 % of an H100's 3.35 TB/s");
        bool any = results.Kernels.Count + results.Synthetics.Count + results.Benches.Count > 0;
        text.Append(any ? "" : "**Nothing on this page has been measured on a GPU.** ");
        text.Append(CultureInfo.InvariantCulture, $"Predicted is least bytes over {ceiling}; predicted values are pale in the pictures.\n\n");
        WriteCurve();
        WriteNodes();
        WriteKernels();
        WriteBenches();
        WritePeers();
        files["report.md"] = text.ToString().TrimEnd('\n') + "\n";
        files["results.json"] = results.ToJson().ToJsonString(KernelBenchmarks.JsonOptions) + "\n";
        return files;
    }

    // Whole models only: what a machine without a GPU cut says nothing about this one.
    private IEnumerable<JsonObject> WholeRuns =>
        results.Synthetics.Where(s => (string?)s["model"] == SyntheticModelName && s["cut"] is null && (int?)s["layers"] == 64);

    private void WriteCurve()
    {
        Dictionary<int, JsonObject> measured = [];
        foreach (JsonObject row in WholeRuns.SelectMany(r => r["contexts"]!.AsArray()).OfType<JsonObject>())
            measured[(int)row["context_tokens"]!] = row;
        (double, double)[] predicted = [.. Contexts.Select(c => ((double)c, 1e6 / prediction.At(c).Microseconds))];
        files["tokens-per-second.svg"] = ReportPlots.Curve(
            "Qwen3.6-27B, INT4, one sequence: decode", predicted,
            [.. measured.OrderBy(m => m.Key).Select(m => ((double)m.Key, (double)m.Value["decode_tokens_per_second"]!))]);
        text.Append("## Decode against context\n\n![tokens per second against context](tokens-per-second.svg)\n\n");
        text.Append("| tokens of context | predicted tokens/s | measured tokens/s | of roofline | prefill tokens/s |\n|---:|---:|---:|---:|---:|\n");
        foreach (int context in Contexts.Union(measured.Keys).Order())
        {
            JsonObject? row = measured.GetValueOrDefault(context);
            text.Append(
                CultureInfo.InvariantCulture,
                $"| {context:N0} | {1e6 / prediction.At(context).Microseconds:F1} | {Shown(row?["decode_tokens_per_second"])} | {Shown(row?["percent_of_roofline"], " %")} | {Shown(row?["prefill_tokens_per_second"])} |\n");
        }

        text.Append('\n');
    }

    private void WriteNodes()
    {
        // The shortest context of the first run that timed nodes.
        JsonObject? timed = WholeRuns.Select(r => r["nodes"]).OfType<JsonObject>().FirstOrDefault();
        KeyValuePair<string, JsonNode?>? nodes = timed?.OrderBy(n => int.Parse(n.Key, CultureInfo.InvariantCulture)).First();
        int context = nodes is { } n ? int.Parse(n.Key, CultureInfo.InvariantCulture) : Contexts[0];
        Dictionary<string, double> measured = nodes is null
            ? []
            : nodes.Value.Value!.AsArray().GroupBy(x => Label((string)x!["scope"]!, (string)x["op"]!)).ToDictionary(g => g.Key, g => g.Sum(x => (double)x!["microseconds"]!));
        NodePlan plan = prediction.At(context);
        (string Label, int Nodes, double Predicted)[] kinds =
        [
            .. plan.Kinds.GroupBy(k => Label(k.Scope, k.Op)).Select(g => (g.Key, g.Sum(k => k.Nodes), g.Sum(plan.MicrosecondsOf))).OrderByDescending(k => k.Item3),
        ];
        files["nodes.svg"] = ReportPlots.Bars(
            string.Create(CultureInfo.InvariantCulture, $"One decoded token of Qwen3.6-27B after {context:N0}: {plan.Launches} launches"), "µs of all layers",
            [.. kinds.Select(k => new PlotBar($"{k.Label} ×{k.Nodes}", k.Predicted, measured.TryGetValue(k.Label, out double m) ? m : null))]);
        text.Append(CultureInfo.InvariantCulture, $"## Time per node of one token\n\n![time per node of one token](nodes.svg)\n\n");
        text.Append(CultureInfo.InvariantCulture, $"After {context:N0} tokens; {plan.Nodes} nodes, {plan.Launches} launches.\n\n");
        text.Append("| node | nodes | predicted µs | measured µs |\n|---|---:|---:|---:|\n");
        foreach ((string label, int count, double predicted) in kinds)
            text.Append(CultureInfo.InvariantCulture, $"| {label} | {count} | {predicted:F1} | {(measured.TryGetValue(label, out double m) ? m.ToString("F1", CultureInfo.InvariantCulture) : NotMeasured)} |\n");
        string sum = measured.Count > 0 ? measured.Values.Sum().ToString("F1", CultureInfo.InvariantCulture) : NotMeasured;
        text.Append(CultureInfo.InvariantCulture, $"| **all** | {plan.Nodes} | {plan.Microseconds:F1} | {sum} |\n\n");
    }

    private void WriteKernels()
    {
        double ceiling = prediction.BytesPerSecond / 1e9;
        var measured = results.Kernels.ToLookup(k => (k.Name, k.Shape));
        (string Name, string Shape)[] all =
        [
            .. KernelBenchmarks.All.Select(b => (b.Name, b.Shape)).Union(results.Kernels.Select(k => (k.Name, k.Shape))),
        ];
        files["bandwidth.svg"] = ReportPlots.Bars(
            "Achieved bandwidth of each kernel", "GB/s",
            [.. all.Select(k => measured[k].Any() ? new PlotBar($"{k.Name}, {k.Shape}", null, measured[k].Last().GigabytesPerSecond) : new PlotBar($"{k.Name}, {k.Shape}", ceiling, null))],
            ceiling);
        text.Append("## Bandwidth per kernel\n\n![achieved bandwidth of each kernel against the roofline](bandwidth.svg)\n\n");
        text.Append("Where nothing was measured the bar is the roofline itself: predicted for kernels that memory limits, which in prefill they are not.\n\n");
        text.Append("| kernel | shape | median µs | GB/s | of read ceiling | error |\n|---|---|---:|---:|---:|---:|\n");
        foreach ((string Name, string Shape) kernel in all)
        {
            KernelResult? k = measured[kernel].LastOrDefault();
            text.Append(k is null
                ? $"| {kernel.Name} | {kernel.Shape} | {NotMeasured} | {NotMeasured} | | |\n"
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"| {k.Name} | {k.Shape} | {k.MedianUs:F1} | {k.GigabytesPerSecond:F1} | {k.GigabytesPerSecond / ceiling:P0} | {k.Error:E1} |\n"));
        }

        text.Append('\n');
    }

    private void WriteBenches()
    {
        if (results.Benches.Count == 0 && !results.Synthetics.Except(WholeRuns).Any())
            return;
        text.Append("## Other runs\n\n| run | model | device | prefill tokens/s | decode tokens/s |\n|---|---|---|---:|---:|\n");
        foreach ((string name, JsonObject report) in results.Benches)
            text.Append(CultureInfo.InvariantCulture, $"| {name} | {report["model"]} | {report["device"]} | {Shown(report["prefill_tokens_per_second"]?["median"])} | {Shown(report["decode_tokens_per_second"]?["median"])} |\n");
        foreach (JsonObject report in results.Synthetics.Except(WholeRuns))
        {
            foreach (JsonObject row in report["contexts"]!.AsArray().OfType<JsonObject>())
                text.Append(CultureInfo.InvariantCulture, $"| after {row["context_tokens"]} | {report["model"]}, {report["layers"]} layers | {report["device"]} | {Shown(row["prefill_tokens_per_second"])} | {Shown(row["decode_tokens_per_second"])} |\n");
        }

        text.Append('\n');
    }

    private void WritePeers()
    {
        foreach (JsonObject peer in results.Peers)
        {
            text.Append("## The same GPU with others' code\n\n| peer | µs | GB/s | of read ceiling |\n|---|---:|---:|---:|\n");
            foreach ((string name, JsonNode? value) in peer["results"]?.AsObject().SelectMany(p => p.Value as JsonObject ?? []) ?? [])
            {
                if (value is JsonObject timed && timed["us"] is { } us && timed["gb_per_s"] is { } speed)
                    text.Append(CultureInfo.InvariantCulture, $"| {name} | {(double)us:F1} | {(double)speed:F1} | {(double)speed * 1e9 / prediction.BytesPerSecond:P0} |\n");
            }

            text.Append('\n');
            foreach ((string name, JsonNode? reason) in peer["skipped"]!.AsObject())
                text.Append(CultureInfo.InvariantCulture, $"- skipped {name}: {reason}\n");
            text.Append('\n');
        }
    }

    // A node's scope with its layer left out: `layers.3.mlp` is `mlp`.
    private static string Label(string scope, string op) => $"{scope[(scope.LastIndexOf('.') + 1)..]} {op}".Trim();

    private static string Shown(JsonNode? value, string unit = "") =>
        value is null ? NotMeasured : ((double)value).ToString("F1", CultureInfo.InvariantCulture) + unit;
}
