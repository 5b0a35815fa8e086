using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>RMSNorm of each head with a plain weight, then the gate: y = x / sqrt(mean(x²) + eps) · weight · silu(z).</summary>
internal static class GatedRmsNorm
{
    private const string Op = "gated_rms_norm";

    /// <summary>x, z, y: [T, H · headDim], y may be x; weight: [headDim], not 1 + weight.</summary>
    public static Launch Bind(
        KernelLoader loader, Matrix<float> x, Matrix<float> z, ArrayView<float> weight, int headDim, Matrix<float> y, float eps)
    {
        Require.That(
            Op,
            headDim > 0 && x.Columns % headDim == 0,
            $"columns of x are {x.Columns}, not a multiple of the head size {headDim}");
        Require.Equal(Op, "length of weight", weight.Length, "the head size", headDim);
        Require.Equal(Op, "rows of z", z.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of z", z.Columns, "columns of x", x.Columns);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);
        return loader.Bind(GatedRmsNormKernel.GatedRmsNorm, new GatedRmsNormKernel(x, z, weight, y, headDim, eps));
    }
}
