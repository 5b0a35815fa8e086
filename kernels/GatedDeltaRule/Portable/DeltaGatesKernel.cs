using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// beta = σ(b); g = −exp(aLog) · softplus(a + dtBias), one head of one row an item.
/// b, a, beta, g: [T, Hv] float; aLog, dtBias: [Hv] float.
/// </summary>
internal readonly partial struct DeltaGatesKernel(
    Matrix<float> b, Matrix<float> a, ArrayView<float> aLog, ArrayView<float> dtBias, Matrix<float> beta, Matrix<float> g) : IPortableKernel
{
    public int Items => b.Rows * b.Columns;

    public static void DeltaGates(Index1D thread, int threads, DeltaGatesKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / b.Columns;
        int head = item - (row * b.Columns);
        beta[row, head] = DeltaGate.Beta(b[row, head]);
        g[row, head] = DeltaGate.LogDecay(a[row, head], aLog[head], dtBias[head]);
    }
}

/// <summary>
/// The two gates of the delta rule: beta = σ(b), how much is written; g = −exp(aLog) · softplus(a + dtBias), the log of the decay.
/// </summary>
internal static class DeltaGates
{
    private const string Op = "delta_gates";

    /// <summary>b, a, beta, g: [T, Hv]; aLog, dtBias: [Hv]. beta may be b, g may be a.</summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> b,
        Matrix<float> a,
        ArrayView<float> aLog,
        ArrayView<float> dtBias,
        Matrix<float> beta,
        Matrix<float> g)
    {
        Require.Equal(Op, "length of aLog", aLog.Length, "columns of b", b.Columns);
        Require.Equal(Op, "length of dtBias", dtBias.Length, "columns of b", b.Columns);
        RequireShapeOfB("a", a, b);
        RequireShapeOfB("beta", beta, b);
        RequireShapeOfB("g", g, b);
        return loader.Bind(DeltaGatesKernel.DeltaGates, new DeltaGatesKernel(b, a, aLog, dtBias, beta, g));
    }

    private static void RequireShapeOfB(string name, Matrix<float> matrix, Matrix<float> b)
    {
        Require.Equal(Op, $"rows of {name}", matrix.Rows, "rows of b", b.Rows);
        Require.Equal(Op, $"columns of {name}", matrix.Columns, "columns of b", b.Columns);
    }
}
