using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Sixteen values of a head at a time; a thread takes neighbouring heads.</summary>
internal readonly unsafe partial struct GatedRmsNormKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int item = part.From; item < part.To; item++)
        {
            int row = item / Heads;
            int start = (item - (row * Heads)) * headDim;
            Normalise(
                CpuVectors.Row(x, row) + start, CpuVectors.Row(z, row) + start, CpuVectors.Pointer(weight), CpuVectors.Row(y, row) + start,
                headDim, eps);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Normalise(float* x, float* z, float* weight, float* y, int count, float eps)
    {
        var scale = Vector512.Create(1 / MathF.Sqrt((CpuVectors.SumOfSquares(x, count) / count) + eps));
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> normed = CpuVectors.LoadFirst(x + i, count - i) * scale * CpuVectors.LoadFirst(weight + i, count - i);
            CpuVectors.StoreFirst(normed * CpuVectors.Silu(CpuVectors.LoadFirst(z + i, count - i)), y + i, count - i);
        }
    }
}
