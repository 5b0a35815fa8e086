using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen heads at a time; a thread takes whole rows.</summary>
internal readonly unsafe partial struct DeltaGatesKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart rows = CpuPart.Of(b.Rows, thread, threads);
        for (int row = rows.From; row < rows.To; row++)
        {
            Row(
                CpuVectors.Row(b, row), CpuVectors.Row(a, row), CpuVectors.Pointer(aLog), CpuVectors.Pointer(dtBias),
                CpuVectors.Row(beta, row), CpuVectors.Row(g, row), b.Columns);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Row(float* b, float* a, float* aLog, float* dtBias, float* beta, float* g, int heads)
    {
        for (int i = 0; i < heads; i += CpuVectors.Width)
        {
            int count = heads - i;
            Vector512<float> written = CpuVectors.Sigmoid(CpuVectors.LoadFirst(b + i, count));
            Vector512<float> step = CpuVectors.Softplus(CpuVectors.LoadFirst(a + i, count) + CpuVectors.LoadFirst(dtBias + i, count));
            Vector512<float> logDecay = -CpuVectors.Exp(CpuVectors.LoadFirst(aLog + i, count)) * step;
            CpuVectors.StoreFirst(written, beta + i, count);
            CpuVectors.StoreFirst(logDecay, g + i, count);
        }
    }
}
