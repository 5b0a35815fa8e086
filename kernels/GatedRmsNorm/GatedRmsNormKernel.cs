using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x / sqrt(mean(x²) + eps) · weight · silu(z), one head of one row an item.
/// x, z, y: [T, H · D] float, y may be x; weight: [D] float.
/// </summary>
internal readonly partial struct GatedRmsNormKernel(
    Matrix<float> x, Matrix<float> z, ArrayView<float> weight, Matrix<float> y, int headDim, float eps) : IPortableKernel
{
    private int Heads => x.Columns / headDim;

    public int Items => x.Rows * Heads;

    public static void GatedRmsNorm(Index1D thread, int threads, GatedRmsNormKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / Heads;
        int start = (item - (row * Heads)) * headDim;
        ArrayView<float> xHead = x.Row(row).SubView(start, headDim);
        ArrayView<float> zHead = z.Row(row).SubView(start, headDim);
        ArrayView<float> yHead = y.Row(row).SubView(start, headDim);
        float squares = 0;
        for (int c = 0; c < headDim; c++)
        {
            float value = xHead[c];
            squares += value * value;
        }

        float scale = 1 / XMath.Sqrt((squares / headDim) + eps);
        for (int c = 0; c < headDim; c++)
        {
            float gate = zHead[c];
            yHead[c] = xHead[c] * scale * weight[c] * (gate / (1 + XMath.Exp(-gate)));
        }
    }
}
