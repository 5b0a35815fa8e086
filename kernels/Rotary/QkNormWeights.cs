using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What queries and keys of an attention layer are normed and turned by. q, k: [Hd], weights of the norms; rotary: as many frequencies as
/// pairs of a head are turned, dimensions i and i + frequencies; those from 2 · frequencies on are not.
/// </summary>
internal readonly struct QkNormWeights(ArrayView<float> q, ArrayView<float> k, RotaryView rotary, float eps)
{
    public readonly ArrayView<float> Q = q;
    public readonly ArrayView<float> K = k;
    public readonly RotaryView Rotary = rotary;
    public readonly float Eps = eps;

    /// <summary>Throws unless these are of heads of this size.</summary>
    public void Check(string op, int headDim)
    {
        Require.That(
            op,
            Rotary.Frequencies > 0 && 2 * Rotary.Frequencies <= headDim,
            $"the rotary table turns {2 * Rotary.Frequencies} dimensions, of at most the head size {headDim}");
        Require.Equal(op, "length of qNorm", Q.Length, "head size", headDim);
        Require.Equal(op, "length of kNorm", K.Length, "head size", headDim);
    }
}
