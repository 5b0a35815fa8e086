using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// sum = x + branch; y = sum / sqrt(mean(sum²) + eps) · (1 + weight), one row an item.
/// x, branch, sum, y: [T, D] float; weight: [D] float. sum may be x itself.
/// </summary>
internal readonly partial struct AddRmsNormKernel(
    Matrix<float> x, Matrix<float> branch, ArrayView<float> weight, Matrix<float> sum, Matrix<float> y, float eps) : IPortableKernel
{
    public int Items => x.Rows;

    public static void AddRmsNorm(Index1D thread, int threads, AddRmsNormKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int row)
    {
        ArrayView<float> xRow = x.Row(row);
        ArrayView<float> branchRow = branch.Row(row);
        ArrayView<float> sumRow = sum.Row(row);
        ArrayView<float> yRow = y.Row(row);
        float squares = 0;
        for (int c = 0; c < x.Columns; c++)
        {
            float value = xRow[c] + branchRow[c];
            sumRow[c] = value;
            squares += value * value;
        }

        float scale = 1 / XMath.Sqrt((squares / x.Columns) + eps);
        for (int c = 0; c < x.Columns; c++)
            yRow[c] = sumRow[c] * scale * (1 + weight[c]);
    }
}
