using System.Globalization;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli;

/// <summary>Timed nodes as a table, each on a line, then the sums per op.</summary>
internal static class NodeTable
{
    public static void Write(TextWriter writer, string title, IReadOnlyList<NodeTime> times)
    {
        double total = times.Sum(t => t.Microseconds);
        writer.WriteLine();
        writer.WriteLine($"{title}, node by node, each waited for");
        writer.WriteLine($"{"",4} {"where",-24} {"op",-20} {"µs",10} {"GB/s",8} {"bytes",14}");
        for (int i = 0; i < times.Count; i++)
        {
            NodeTime t = times[i];
            writer.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{i,4} {t.Node.Scope,-24} {t.Node.Op,-20} {t.Microseconds,10:F1} {t.GigabytesPerSecond,8:F2} {t.Node.MovedBytes,14:N0}"));
        }

        writer.WriteLine();
        writer.WriteLine($"{"op",-20} {"nodes",6} {"µs",10} {"share",7}");
        foreach (IGrouping<string, NodeTime> op in times.GroupBy(t => t.Node.Op).OrderByDescending(g => g.Sum(t => t.Microseconds)))
        {
            double sum = op.Sum(t => t.Microseconds);
            writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{op.Key,-20} {op.Count(),6} {sum,10:F1} {sum / total,7:P1}"));
        }
    }

    public static JsonArray ToJson(IReadOnlyList<NodeTime> times) => new([.. times.Select(t => new JsonObject
    {
        ["scope"] = t.Node.Scope,
        ["op"] = t.Node.Op,
        ["microseconds"] = JsonOutput.Rounded(t.Microseconds, 2),
        ["bytes"] = t.Node.MovedBytes,
    })]);
}
