using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x / sqrt(mean(x²) + eps) · (1 + weight), one row an item. x, y: [T, D] float; weight: [D] float.
/// </summary>
internal readonly partial struct RmsNormKernel(Matrix<float> x, ArrayView<float> weight, Matrix<float> y, float eps) : IPortableKernel
{
    public int Items => x.Rows;

    public static void RmsNorm(Index1D thread, int threads, RmsNormKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        ArrayView<float> xRow = x.Row(row);
        ArrayView<float> yRow = y.Row(row);
        float squares = 0;
        for (int c = 0; c < x.Columns; c++)
            squares += xRow[c] * xRow[c];

        float scale = 1 / XMath.Sqrt((squares / x.Columns) + eps);
        for (int c = 0; c < x.Columns; c++)
            yRow[c] = xRow[c] * scale * (1 + weight[c]);
    }
}
