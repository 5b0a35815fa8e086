namespace QwenIlgpu.Kernels;

/// <summary>
/// A portable kernel that has a share: vector code, beside the kernel in <c>&lt;Kernel&gt;Share.cs</c>, for what one CPU thread does of a
/// launch. It computes what <see cref="IPortableKernel.Execute"/> defines, in float and in an order that the shapes alone decide: neither
/// the number of threads nor that of other rows shows in a row's bits.
/// </summary>
internal interface ICpuShare
{
    /// <summary>Whether the share takes operands of these shapes; asked when a launch is bound. Where not, the plain loop runs.</summary>
    bool TakesShape { get; }

    /// <summary>Does part <paramref name="thread"/> of a launch that as many <paramref name="threads"/> do together, each once.</summary>
    void Share(int thread, int threads);
}

/// <summary>What a thread of several takes of so many things: neighbours, at most one more than any other thread.</summary>
internal readonly record struct CpuPart(int From, int To)
{
    public static CpuPart Of(int count, int thread, int threads) =>
        new((int)((long)count * thread / threads), (int)((long)count * (thread + 1) / threads));

    /// <summary>The same in whole blocks of so many: what lies in one cache line is one thread's.</summary>
    public static CpuPart Of(int count, int block, int thread, int threads)
    {
        CpuPart blocks = Of((count + block - 1) / block, thread, threads);
        return new CpuPart(Math.Min(blocks.From * block, count), Math.Min(blocks.To * block, count));
    }
}
