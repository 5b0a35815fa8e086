namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring rows a thread, of floats or bfloat16.</summary>
internal readonly unsafe partial struct EmbeddingKernel<TWeight> : ICpuShare
{
    public bool TakesShape => typeof(TWeight) == typeof(F32Weights) || typeof(TWeight) == typeof(Bf16Weights);

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(y.Rows, thread, threads);
        for (int token = part.From; token < part.To; token++)
        {
            UInt4* row = CpuVectors.Row(table, ids[token]);
            if (typeof(TWeight) == typeof(F32Weights))
                new Span<float>(row, y.Columns).CopyTo(new Span<float>(CpuVectors.Row(y, token), y.Columns));
            else
                Bf16Share.Widen((ushort*)row, CpuVectors.Row(y, token), y.Columns);
        }
    }
}
