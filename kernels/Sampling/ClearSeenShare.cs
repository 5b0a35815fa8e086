namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring tokens a thread.</summary>
internal readonly unsafe partial struct ClearSeenKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(slots.VocabularySize, CpuVectors.Width, thread, threads);
        new Span<int>(CpuVectors.Row(slots.Seen, request[0]) + part.From, part.To - part.From).Clear();
        if (thread == 0)
            slots.DrawIndex[request[0]] = 0;
    }
}
