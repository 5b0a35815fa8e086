namespace QwenIlgpu.Bench;

/// <summary>
/// One kernel at one real shape. <paramref name="Prepare"/> allocates operands, binds the launch and computes the reference. One that
/// needs warps is passed over on the CPU, whose accelerator has none here.
/// </summary>
internal sealed record KernelBenchmark(string Name, string Shape, Func<BenchDevice, PreparedKernel> Prepare, bool NeedsWarps = false);

/// <summary>
/// A bound kernel with what it must move and compute, and its result held against the reference: the larger of the two relative
/// errors |y − ref| / max|ref| over what was checked.
/// </summary>
internal sealed record PreparedKernel(Kernels.Launch Launch, long Bytes, long Flops, Func<double> ErrorAgainstReference, double Tolerance)
{
    /// <summary>Launches that follow the first one and are timed with it.</summary>
    public IReadOnlyList<Kernels.Launch> Further { get; init; } = [];

    /// <summary>
    /// The same launch over other copies of its weights: each run takes the next, so that none finds in a cache what an earlier one read.
    /// </summary>
    public IReadOnlyList<Kernels.Launch> Rotation { get; init; } = [];

    private int Next { get; set; }

    /// <summary>Queues it all.</summary>
    public void Run(ILGPU.Runtime.AcceleratorStream stream)
    {
        (Next == 0 ? Launch : Rotation[Next - 1]).Run(stream);
        Next = (Next + 1) % (Rotation.Count + 1);
        foreach (Kernels.Launch launch in Further)
            launch.Run(stream);
    }
}
