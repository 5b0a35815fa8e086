namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring rows a thread.</summary>
internal readonly unsafe partial struct GatherRowsKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(y.Rows, thread, threads);
        for (int row = part.From; row < part.To; row++)
            new Span<float>(CpuVectors.Row(x, rows[row]), y.Columns).CopyTo(new Span<float>(CpuVectors.Row(y, row), y.Columns));
    }
}
