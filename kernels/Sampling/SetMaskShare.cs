namespace QwenIlgpu.Kernels;

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
