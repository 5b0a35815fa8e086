using System.Diagnostics;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Runs one bound graph on the CPU as one launch, what a CUDA graph is to a GPU: its threads go through all nodes and meet between them.
/// Neighbouring nodes that one thread does in less than some barriers take are left to the first thread.
/// </summary>
internal sealed class CpuReplayRunner : IGraphRunner
{
    // What two threads with a core each need to meet: 0.5 µs. Sharing a node between them must save more than it costs, and a thread that
    // finds another one's data in that one's cache loses some of it again.
    private const double BarrierMicroseconds = 0.5;
    private const double LeastSharedMicroseconds = 10 * BarrierMicroseconds;

    // What one core of a present-day machine does at least: reads from memory, and multiplies and adds in vectors.
    private const double BytesPerMicrosecond = 15e3;
    private const double MultiplyAddsPerMicrosecond = 30e3;

    private readonly OpGraph graph;
    private readonly ComputeDevice device;
    private readonly CpuSequence sequence;

    /// <summary>Takes the graph's launches as they are now: bound, and of a CPU device.</summary>
    public CpuReplayRunner(OpGraph graph, ComputeDevice device)
    {
        (this.graph, this.device) = (graph, device);
        bool[] isShared = AreShared(graph.Nodes);
        sequence = CpuSequence.Of([.. graph.Nodes.SelectMany((n, i) => n.Launches.Select(l => (l, isShared[i])))]);
    }

    /// <summary>
    /// Whether all threads take part in each of the nodes. A small one alone between two that are shared is too: the barriers on both sides
    /// of it stand in any case, and each thread finds in its own cache what it made of the node before.
    /// </summary>
    public static bool[] AreShared(IReadOnlyList<Node> nodes)
    {
        bool[] isLarge = [.. nodes.Select(IsLarge)];
        return [.. isLarge.Select((large, i) => large || (i > 0 && i + 1 < nodes.Count && isLarge[i - 1] && isLarge[i + 1]))];
    }

    // Attention always is: its work grows with the context, which a recorded step does not know.
    private static bool IsLarge(Node node) =>
        node.BytesPerContextToken > 0 ||
        Math.Max(node.MovedBytes / BytesPerMicrosecond, node.MultiplyAdds / MultiplyAddsPerMicrosecond) >= LeastSharedMicroseconds;

    public void Run() => device.Loader.Cpu.Run(device.Stream, sequence);

    /// <summary>Microseconds of every node in one run, by the first thread's clock.</summary>
    public double[] RunTimed()
    {
        long[] before = sequence.Ticks.ToArray();
        Run();
        ReadOnlySpan<long> after = sequence.Ticks;
        var microseconds = new double[graph.Nodes.Count];
        int next = 0;
        for (int i = 0; i < microseconds.Length; i++)
        {
            foreach (Launch launch in graph.Nodes[i].Launches)
            {
                if (launch.IsEmpty)
                    continue;
                microseconds[i] += (after[next] - before[next]) * 1e6 / Stopwatch.Frequency;
                next++;
            }
        }

        return microseconds;
    }
}
