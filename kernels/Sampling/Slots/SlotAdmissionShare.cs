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

/// <summary>One thread: zeros, then the pairs.</summary>
internal readonly unsafe partial struct SetBiasKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        if (thread > 0)
            return;
        var bias = new Span<float>(CpuVectors.Row(slots.Bias, request[0]), slots.VocabularySize);
        bias.Clear();
        int count = request[1];
        for (int i = 0; i < count; i++)
            bias[ids[i]] = values[i];
    }
}

/// <summary>One thread: zeros, then the ids.</summary>
internal readonly unsafe partial struct SetMaskKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        if (thread > 0)
            return;
        var allowed = new Span<uint>(CpuVectors.Row(slots.Allowed, request[0]), slots.Allowed.Columns);
        allowed.Clear();
        int count = request[1];
        for (int i = 0; i < count; i++)
            allowed[ids[i] >> 5] |= 1u << (ids[i] & 31);
    }
}
