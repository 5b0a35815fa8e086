using System.Diagnostics;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Runs a graph several times over and says what each of its nodes took. On CUDA events between the nodes say it by the device's clock,
/// while the host has long queued what follows; on the CPU its first thread says it from inside a replay.
/// </summary>
internal static class TimedRunner
{
    /// <summary>Medians of so many runs. On CUDA one more run goes ahead, which no node is timed in.</summary>
    public static IReadOnlyList<NodeTime> Run(OpGraph graph, ComputeDevice device, int runs)
    {
        var microseconds = new double[graph.Nodes.Count][];
        for (int i = 0; i < microseconds.Length; i++)
            microseconds[i] = new double[runs];
        device.Bind();
        device.Synchronize();
        if (device.IsCuda)
            TimeByEvents(graph, device, microseconds);
        else
            TimeReplays(new CpuReplayRunner(graph, device), microseconds);
        return [.. microseconds.Select((m, i) => new NodeTime(graph.Nodes[i], Median.Of(m)))];
    }

    private static void TimeReplays(CpuReplayRunner runner, double[][] microseconds)
    {
        for (int run = 0; run < microseconds[0].Length; run++)
        {
            double[] times = runner.RunTimed();
            for (int i = 0; i < times.Length; i++)
                microseconds[i][run] = times[i];
        }
    }

    private static void TimeByEvents(OpGraph graph, ComputeDevice device, double[][] microseconds)
    {
        int nodes = graph.Nodes.Count;
        var marks = new DeviceEvent[microseconds[0].Length * (nodes + 1)];
        try
        {
            for (int i = 0; i < marks.Length; i++)
                marks[i] = new DeviceEvent(device, isTimed: true);
            StreamRunner.Run(graph, device.Stream);                 // the host gets ahead of the device
            int next = 0;
            for (int run = 0; run < microseconds[0].Length; run++)
            {
                marks[next++].Record(device.Stream);
                foreach (Node node in graph.Nodes)
                {
                    RunNode(node, device.Stream);
                    marks[next++].Record(device.Stream);
                }
            }

            marks[^1].Wait();
            for (int run = 0; run < microseconds[0].Length; run++)
            {
                for (int i = 0; i < nodes; i++)
                    microseconds[i][run] = marks[(run * (nodes + 1)) + i + 1].MicrosecondsSince(marks[(run * (nodes + 1)) + i]);
            }
        }
        finally
        {
            foreach (DeviceEvent? mark in marks)
                mark?.Dispose();
        }
    }

    private static void RunNode(Node node, AcceleratorStream stream)
    {
        foreach (Launch launch in node.Launches)
            launch.Run(stream);
    }
}

/// <summary>What one node took, from the end of the one before to its own.</summary>
internal sealed record NodeTime(Node Node, double Microseconds)
{
    public double GigabytesPerSecond => Node.MovedBytes / Microseconds / 1e3;
}
