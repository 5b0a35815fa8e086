using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>The 16-bit type in which tensor cores take activations and weights.</summary>
internal enum Operand16
{
    Bf16,
    F16,
}

/// <summary>Activations [M, K]; with a weight [K] they are normalised first: x / sqrt(mean(x²) + eps) · (1 + weight).</summary>
internal readonly record struct MatMulRows(Matrix<float> X, ArrayView<float> NormWeight = default, float Eps = 0)
{
    /// <summary>None where there is no weight.</summary>
    public RowNorm Norm(string op) => NormWeight.Length > 0
        ? new RowNorm(Float4.Words(op, "norm weight", new Matrix<float>(NormWeight, 1, X.Columns)).Data, 1, Eps)
        : new RowNorm(Float4.Words(op, "x", X).Data.SubView(0, 0), 0, Eps);
}

/// <summary>One projection: weights [N, K], y [M, N] (default: not stored).</summary>
internal readonly record struct Projection(WeightMatrix Weight, Matrix<float> Y = default);

/// <summary>
/// What becomes of the products. SwiGlu: two projections, y = silu(first) · second to the first's y. Residual: [M, N],
/// y + residual, which may be y itself. ArgMax: ids of the largest.
/// </summary>
internal readonly record struct Epilogue(bool SwiGlu = false, Matrix<float> Residual = default, ArgMaxOutput? ArgMax = null);

/// <summary>ids: [M], the row below vocabularySize with the largest product, the lowest of equals; −1 where all are NaN or −∞.</summary>
internal readonly record struct ArgMaxOutput(ArrayView<int> Ids, int VocabularySize);

/// <summary>
/// Memory that a launch needs besides its operands, as the launch's plan says how much: floats of any content, tickets that are
/// zero before the first launch; every launch leaves them zero.
/// </summary>
internal readonly record struct MatMulScratch(ArrayView<float> Floats = default, ArrayView<int> Tickets = default);
