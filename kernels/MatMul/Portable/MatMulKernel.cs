using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ. x: [M, K] float; w: [N, K] in the storage of <typeparamref name="TWeights"/>; y: [M, N] float. An item is one output.
/// </summary>
/// <remarks>
/// Products are summed in the order of k within a chain of <see cref="IMatMulWeights.ChainColumns"/>, then scale · sum of the chains in
/// order. Each addition has exactly one product as operand and no output knows of another, so its bits do not depend on M.
/// </remarks>
[Instantiation(typeof(Int4Weights<Bf16Format, SymmetricZero>))]
[Instantiation(typeof(Int4Weights<F16Format, SymmetricZero>))]
[Instantiation(typeof(Int4Weights<Bf16Format, StoredZero>))]
[Instantiation(typeof(Int4Weights<F16Format, StoredZero>))]
[Instantiation(typeof(Int8Weights<Bf16Format>))]
[Instantiation(typeof(Int8Weights<F16Format>))]
[Instantiation(typeof(Fp4Weights))]
[Instantiation(typeof(Fp8Weights))]
[Instantiation(typeof(DenseWeights<F32Weights>))]
[Instantiation(typeof(DenseWeights<F16Weights>))]
[Instantiation(typeof(DenseWeights<Bf16Weights>))]
internal readonly partial struct MatMulKernel<TWeights>(Matrix<float> x, TWeights w, Matrix<float> y) : IPortableKernel
    where TWeights : struct, IMatMulWeights
{
    public int Items => y.Rows * y.Columns;

    public static void MatMul(Index1D thread, int threads, MatMulKernel<TWeights> kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int token = item / y.Columns;
        int row = item - (token * y.Columns);
        ArrayView<float> xRow = x.Row(token);
        TWeights weights = w;
        float total = 0;
        for (int start = 0; start < x.Columns; start += weights.ChainColumns)
        {
            int end = start + weights.ChainColumns < x.Columns ? start + weights.ChainColumns : x.Columns;
            float sum = 0;
            for (int k = start; k < end; k++)
                sum += weights.Weight(row, k) * xRow[k];
            total += weights.Scale(row, start) * sum;
        }

        y[token, row] = total;
    }
}
