using System.Diagnostics;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Runs a graph node by node with a synchronisation after each, and says what each took.</summary>
internal static class TimedRunner
{
    public static IReadOnlyList<NodeTime> Run(OpGraph graph, AcceleratorStream stream)
    {
        var times = new NodeTime[graph.Nodes.Count];
        stream.Synchronize();
        for (int i = 0; i < times.Length; i++)
        {
            Node node = graph.Nodes[i];
            long start = Stopwatch.GetTimestamp();
            foreach (Launch launch in node.Launches)
                launch.Run(stream);
            stream.Synchronize();
            times[i] = new NodeTime(node, Stopwatch.GetElapsedTime(start).TotalMicroseconds);
        }

        return times;
    }
}

/// <summary>What one node took, the wait for its end included.</summary>
internal sealed record NodeTime(Node Node, double Microseconds)
{
    public double GigabytesPerSecond => Node.MovedBytes / Microseconds / 1e3;
}
