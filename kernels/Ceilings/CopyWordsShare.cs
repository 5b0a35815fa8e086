namespace QwenIlgpu.Kernels;

/// <summary>A thread copies neighbours, whole cache lines.</summary>
internal readonly unsafe partial struct CopyWordsKernel : ICpuShare
{
    private const int LineItems = 4;

    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, LineItems, thread, threads);
        long bytes = (long)(part.To - part.From) * sizeof(UInt4);
        if (bytes > 0)
            Buffer.MemoryCopy(CpuVectors.Pointer(source) + part.From, CpuVectors.Pointer(target) + part.From, bytes, bytes);
    }
}
