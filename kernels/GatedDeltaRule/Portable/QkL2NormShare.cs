using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen values of a head at a time; a thread takes neighbouring heads.</summary>
internal readonly unsafe partial struct QkL2NormKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / (2 * keyHeads);
            int head = item - (row * 2 * keyHeads);
            Normalise(CpuVectors.Row(qkv, row) + ((long)head * keyHeadDim), keyHeadDim, head < keyHeads);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Normalise(float* values, int count, bool isQuery)
    {
        float scale = 1 / MathF.Sqrt(CpuVectors.SumOfSquares(values, count) + Eps);
        if (isQuery)
            scale /= MathF.Sqrt(count);
        var factor = Vector512.Create(scale);
        for (int i = 0; i < count; i += CpuVectors.Width)
            CpuVectors.StoreFirst(CpuVectors.LoadFirst(values + i, count - i) * factor, values + i, count - i);
    }
}
