using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>A kernel with its operands bound: what a graph records and replays. Running it allocates nothing of ours.</summary>
internal sealed class Launch(string name, int threads, Action<AcceleratorStream> run)
{
    public string Name { get; } = name;

    /// <summary>On the CPU, what one thread of so many does of it; null for kernels of groups and on other accelerators.</summary>
    public Action<int, int>? CpuPart { get; init; }

    public bool IsEmpty => threads == 0;

    /// <summary>Nothing is launched when there is nothing to do: an empty grid is an error on CUDA.</summary>
    public void Run(AcceleratorStream stream)
    {
        if (threads > 0)
            run(stream);
    }
}
