using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>Neighbouring rows a thread.</summary>
internal readonly unsafe partial struct RmsNormKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int row = part.From; row < part.To; row++)
            NormShare.Norm(CpuVectors.Row(x, row), CpuVectors.Pointer(weight), CpuVectors.Row(y, row), x.Columns, eps);
    }
}

/// <summary>Neighbouring rows a thread.</summary>
internal readonly unsafe partial struct AddRmsNormKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Items, thread, threads);
        for (int row = part.From; row < part.To; row++)
        {
            NormShare.Add(CpuVectors.Row(x, row), CpuVectors.Row(branch, row), CpuVectors.Row(sum, row), x.Columns);
            NormShare.Norm(CpuVectors.Row(sum, row), CpuVectors.Pointer(weight), CpuVectors.Row(y, row), x.Columns, eps);
        }
    }
}

/// <summary>Zero-centred RMSNorm of one row, all [D] float.</summary>
internal static unsafe class NormShare
{
    /// <summary>sum = x + branch; sum may be either.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Add(float* x, float* branch, float* sum, int columns)
    {
        for (int c = 0; c < columns; c += CpuVectors.Width)
        {
            CpuVectors.StoreFirst(
                CpuVectors.LoadFirst(x + c, columns - c) + CpuVectors.LoadFirst(branch + c, columns - c), sum + c, columns - c);
        }
    }

    /// <summary>y = x / sqrt(mean(x²) + eps) · (1 + weight); y may be x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Norm(float* x, float* weight, float* y, int columns, float eps)
    {
        var scale = Vector512.Create(1 / MathF.Sqrt((Squares(x, columns) / columns) + eps));
        for (int c = 0; c < columns; c += CpuVectors.Width)
        {
            Vector512<float> factor = Vector512<float>.One + CpuVectors.LoadFirst(weight + c, columns - c);
            CpuVectors.StoreFirst(CpuVectors.LoadFirst(x + c, columns - c) * scale * factor, y + c, columns - c);
        }
    }

    // Sixty-four running sums, so that none waits for the one before.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Squares(float* x, int columns)
    {
        Vector512<float> s0 = default, s1 = default, s2 = default, s3 = default;
        int c = 0;
        for (; c + (4 * CpuVectors.Width) <= columns; c += 4 * CpuVectors.Width)
        {
            Vector512<float> x0 = Vector512.Load(x + c);
            Vector512<float> x1 = Vector512.Load(x + c + CpuVectors.Width);
            Vector512<float> x2 = Vector512.Load(x + c + (2 * CpuVectors.Width));
            Vector512<float> x3 = Vector512.Load(x + c + (3 * CpuVectors.Width));
            s0 = Vector512.FusedMultiplyAdd(x0, x0, s0);
            s1 = Vector512.FusedMultiplyAdd(x1, x1, s1);
            s2 = Vector512.FusedMultiplyAdd(x2, x2, s2);
            s3 = Vector512.FusedMultiplyAdd(x3, x3, s3);
        }

        for (; c < columns; c += CpuVectors.Width)
        {
            Vector512<float> rest = CpuVectors.LoadFirst(x + c, columns - c);
            s0 = Vector512.FusedMultiplyAdd(rest, rest, s0);
        }

        return Vector512.Sum((s0 + s1) + (s2 + s3));
    }
}
