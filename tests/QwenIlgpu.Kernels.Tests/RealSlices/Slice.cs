using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Kernels of the catalogue at extents of Qwen3.6-27B: its own inner lengths, head and group sizes, and of its rows, tokens and heads as
/// many as a second or two takes.
/// </summary>
/// <param name="Kernels">The catalogue's names of what this slice is of; what else it launches is another slice's.</param>
/// <param name="Run">Launches on a device and takes what they leave.</param>
internal sealed record Slice(string[] Kernels, Func<TestDevice, SliceResult> Run)
{
    public Slice(string kernel, Func<TestDevice, SliceResult> run)
        : this([kernel], run)
    {
    }

    /// <summary>Whether ops choose their kernels of warps.</summary>
    public bool RunsWarpKernels { get; init; } = true;

    public override string ToString() => string.Join(" + ", Kernels);
}

/// <summary>What launches left, and how it is held against the reference.</summary>
internal sealed class SliceResult(Action check)
{
    private readonly List<byte[]> outputs = [];

    public SliceResult Leaving<T>(T[] output)
        where T : unmanaged
    {
        outputs.Add(MemoryMarshal.AsBytes(output.AsSpan()).ToArray());
        return this;
    }

    public void Check() => check();

    /// <summary>Whether another run left the same bits.</summary>
    public bool HasBitsOf(SliceResult other) =>
        outputs.Count == other.outputs.Count && outputs.Zip(other.outputs, (a, b) => a.AsSpan().SequenceEqual(b)).All(same => same);
}
