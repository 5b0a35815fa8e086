using System.Diagnostics;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Runs one bound graph on the CPU as one launch, what a CUDA graph is to a GPU: its threads go through all nodes and meet between them.
/// Nodes that one thread does in less than some barriers take are left to the first thread.
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
        sequence = CpuSequence.Of([.. graph.Nodes.SelectMany(n => n.Launches.Select(l => (l, IsShared(n))))]);
    }

    /// <summary>
    /// Whether all threads take part in a node. Attention always is shared: its work grows with the context, which a recorded step does not
    /// know.
    /// </summary>
    public static bool IsShared(Node node) =>
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
