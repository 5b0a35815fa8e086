using System.Globalization;
using System.Text;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>The committed account of what decode steps of the tiny model launch.</summary>
internal static class LaunchTable
{
    public static string Of(QwenModel model)
    {
        using var sequence = new SteppedSequence(model, graphs: true);
        DriverCall[] plain = sequence.StepCalls();
        DriverCall[] captured = sequence.StepCalls();
        DriverCall[] replayed = sequence.StepCalls();
        OpGraph graph = sequence.DecodeGraph;
        var text = new StringBuilder();
        text.Append(
            """
            # Kernel launches of a decode step

            The tiny model (6 delta layers, 2 attention layers), one sequence, bf16 cache, sampling on; counted by the PTX machine's driver.
            A test holds this file; it writes the table anew beside itself when they differ.

            | op | nodes | launches |
            |---|---:|---:|

            """);
        foreach (IGrouping<string, Node> op in graph.Nodes.GroupBy(n => n.Op).OrderByDescending(g => g.Sum(n => n.Launches.Count)).ThenBy(g => g.Key, StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"| {op.Key} | {op.Count()} | {op.Sum(n => n.Launches.Count)} |\n");
        text.Append(CultureInfo.InvariantCulture, $"| **all** | {graph.Nodes.Count} | {plain.Count(c => c.IsLaunch)} |\n\n");
        text.Append("| step of a shape | kernels | driver calls | of these launches |\n|---|---:|---:|---:|\n");
        AppendStep(text, "first: launch by launch", plain);
        AppendStep(text, "second: capture, then replay", captured);
        AppendStep(text, "every later one: replay", replayed);
        return text.ToString();
    }

    private static void AppendStep(StringBuilder text, string step, DriverCall[] calls)
    {
        int kernels = calls.Count(c => c.IsLaunch && c.Origin != CallOrigin.Captured);
        DriverCall[] made = [.. calls.Where(c => c.Origin != CallOrigin.Replayed && !c.Call.StartsWith("cuModule", StringComparison.Ordinal) && !c.Call.StartsWith("cuFunc", StringComparison.Ordinal))];
        int launches = made.Count(c => c.Call is "cuLaunchKernel" or "cuGraphLaunch");
        text.Append(CultureInfo.InvariantCulture, $"| {step} | {kernels} | {made.Length} | {launches} |\n");
    }
}
