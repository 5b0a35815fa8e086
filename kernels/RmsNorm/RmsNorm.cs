using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Zero-centred RMSNorm, y = x / sqrt(mean(x²) + eps) · (1 + weight), alone or behind the residual addition.</summary>
internal static class RmsNorm
{
    /// <summary>y = norm(x). x, y: [T, D]; weight: [D].</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> x, ArrayView<float> weight, Matrix<float> y, float eps)
    {
        Check("rms_norm", x, weight, y);
        return loader.Bind(RmsNormKernel.RmsNorm, new RmsNormKernel(x, weight, y, eps));
    }

    /// <summary>sum = x + branch; y = norm(sum). All [T, D]; weight: [D]; sum may be x itself.</summary>
    public static Launch BindAdd(
        KernelLoader loader, Matrix<float> x, Matrix<float> branch, ArrayView<float> weight, Matrix<float> sum, Matrix<float> y, float eps)
    {
        Check("add_rms_norm", x, weight, y);
        Require.Equal("add_rms_norm", "rows of branch", branch.Rows, "rows of x", x.Rows);
        Require.Equal("add_rms_norm", "columns of branch", branch.Columns, "columns of x", x.Columns);
        return loader.Bind(AddRmsNormKernel.AddRmsNorm, new AddRmsNormKernel(x, branch, weight, sum, y, eps));
    }

    /// <summary>
    /// y = norm(x) by groups of threads, with the bits of a decode matmul's own norm. x, y: [T, D], D a multiple of 4 and rows
    /// of x, weight and y at multiples of 16 bytes; weight: [D].
    /// </summary>
    public static Launch BindRows(KernelLoader loader, Matrix<float> x, ArrayView<float> weight, Matrix<float> y, float eps)
    {
        const string Op = "row_norm";
        Check(Op, x, weight, y);
        var norm = new RowNorm(Float4.Words(Op, "weight", new Matrix<float>(weight, 1, x.Columns)).Data, 1, eps);
        var kernel = new RowNormKernel(Float4.Words(Op, "x", x), norm, Float4.Words(Op, "y", y));
        return loader.Bind(RowNormKernel.RowNorm, kernel.Config, kernel);
    }

    private static void Check(string op, Matrix<float> x, ArrayView<float> weight, Matrix<float> y)
    {
        Require.Equal(op, "length of weight", weight.Length, "columns of x", x.Columns);
        Require.Equal(op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(op, "columns of y", y.Columns, "columns of x", x.Columns);
    }
}
