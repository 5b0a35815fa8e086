using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Runs a bound graph as a plain loop over its launches: works on every accelerator, allocates nothing.</summary>
internal sealed class StreamRunner(OpGraph graph, AcceleratorStream stream) : IGraphRunner
{
    public void Run() => Run(graph, stream);

    public static void Run(OpGraph graph, AcceleratorStream stream)
    {
        foreach (Launch launch in graph.Launches)
            launch.Run(stream);
    }
}
