using System.Globalization;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Bench;

/// <summary>
/// Timed nodes as a table, each on a line, then the sums per op. In decode each node also has the time that its bytes take at the
/// device's bandwidth, and how much longer it took.
/// </summary>
/// <param name="Times">The nodes.</param>
/// <param name="ContextTokens">Tokens in the cache when they were timed.</param>
/// <param name="BytesPerSecond">The bandwidth; null where bytes do not decide, as in prefill.</param>
internal sealed record NodeTable(IReadOnlyList<NodeTime> Times, int ContextTokens, double? BytesPerSecond)
{
    public void Write(TextWriter writer, string title)
    {
        writer.WriteLine();
        writer.WriteLine($"{title}, node by node");
        string prediction = BytesPerSecond is null ? "" : $" {"predicted",10} {"gap",10}";
        writer.WriteLine($"{"",4} {"where",-24} {"op",-22} {"µs",10}{prediction} {"GB/s",8} {"bytes",14}");
        for (int i = 0; i < Times.Count; i++)
        {
            NodeTime t = Times[i];
            long bytes = t.Node.MovedBytesAt(ContextTokens);
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{i,4} {t.Node.Scope,-24} {t.Node.Op,-22} {t.Microseconds,10:F1}{Prediction(t.Microseconds, bytes)} {bytes / t.Microseconds / 1e3,8:F2} {bytes,14:N0}"));
        }

        writer.WriteLine();
        writer.WriteLine($"{"op",-22} {"nodes",6} {"µs",10} {"share",7}{prediction}");
        double total = Times.Sum(t => t.Microseconds);
        foreach (IGrouping<string, NodeTime> op in Times.GroupBy(t => t.Node.Op).OrderByDescending(g => g.Sum(t => t.Microseconds)))
        {
            double sum = op.Sum(t => t.Microseconds);
            long bytes = op.Sum(t => t.Node.MovedBytesAt(ContextTokens));
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{op.Key,-22} {op.Count(),6} {sum,10:F1} {sum / total,7:P1}{Prediction(sum, bytes)}"));
        }

        long allBytes = Times.Sum(t => t.Node.MovedBytesAt(ContextTokens));
        writer.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{"all",-22} {Times.Count,6} {total,10:F1} {1,7:P1}{Prediction(total, allBytes)}"));
    }

    public JsonArray ToJson() => new([.. Times.Select(t =>
    {
        long bytes = t.Node.MovedBytesAt(ContextTokens);
        var node = new JsonObject
        {
            ["scope"] = $"{t.Node.Scope}",
            ["op"] = t.Node.Op,
            ["launches"] = t.Node.Launches.Count,
            ["microseconds"] = JsonOutput.Rounded(t.Microseconds, 2),
            ["bytes"] = bytes,
            ["gb_per_s"] = JsonOutput.Rounded(bytes / t.Microseconds / 1e3, 2),
        };
        if (BytesPerSecond is { } speed)
        {
            node["predicted_us"] = JsonOutput.Rounded(bytes / speed * 1e6, 2);
            node["gap_us"] = JsonOutput.Rounded(t.Microseconds - (bytes / speed * 1e6), 2);
        }

        return node;
    })]);

    private string Prediction(double microseconds, long bytes)
    {
        if (BytesPerSecond is not { } speed)
            return "";
        double predicted = bytes / speed * 1e6;
        return string.Create(CultureInfo.InvariantCulture, $" {predicted,10:F1} {microseconds - predicted,10:F1}");
    }
}
