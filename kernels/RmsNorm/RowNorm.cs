using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What a group kernel needs to normalise its rows: y = x / sqrt(mean(x²) + eps) · (1 + weight). Weight: words of four floats, none
/// where rows are taken as they are.
/// </summary>
internal readonly struct RowNorm(ArrayView<Float4> weight, int isOn, float eps)
{
    public readonly ArrayView<Float4> Weight = weight;

    /// <summary>0: rows are taken as they are.</summary>
    public readonly int IsOn = isOn;

    private readonly float eps = eps;

    /// <summary>
    /// The factor of a row, whose first chunk the caller has loaded; 1 where there is no norm. warpSums: see
    /// <see cref="RowChunk.SumOfGroup"/>.
    /// </summary>
    public float Scale(ArrayView<Float4> row, RowChunk first, ArrayView<float> warpSums)
    {
        float squares = first.AddSquares(0);
        if (IsOn != 0)
        {
            for (int start = RowChunk.Words; start < row.Length; start += RowChunk.Words)
                squares = RowChunk.AddSquares(row, start, squares);
        }

        float mean = RowChunk.SumOfGroup(squares, warpSums) / (4 * row.Length);
        return IsOn == 0 ? 1 : 1 / XMath.Sqrt(mean + eps);
    }

    /// <summary>A word of a row, normalised.</summary>
    public Float4 Apply(Float4 x, float scale, int word)
    {
        if (IsOn == 0)
            return x;
        Float4 weights = default;
        if (word < Weight.Length)
            weights = Weight[word];
        return RowChunk.Normalised(x, scale, weights);
    }
}
