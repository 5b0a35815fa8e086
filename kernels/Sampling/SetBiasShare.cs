namespace QwenIlgpu.Kernels;

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
