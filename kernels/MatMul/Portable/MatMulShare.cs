namespace QwenIlgpu.Kernels;

/// <summary>Row tiles, sixteen outputs each, by <see cref="CpuMatMul"/>, which knows the storage but not the kernel's type.</summary>
internal readonly partial struct MatMulKernel<TWeights> : ICpuShare
{
    public bool TakesShape => x.Columns > 0 && y.Rows > 0 && y.Columns > 0;

    public void Share(int thread, int threads) => CpuMatMul.Run(thread, threads, x, w.ForCpu(), y);
}
