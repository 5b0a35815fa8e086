using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>What becomes of a launch's sums, on the device; matrices without rows are not there.</summary>
internal readonly struct DecodeEpilogue(
    int isSwiGlu,
    Matrix<float> residual,
    Matrix<float> gate,
    Matrix<ulong> best,
    int vocabularySize,
    ArrayView<float> splitSums,
    ArrayView<int> tickets)
{
    /// <summary>1: y = silu(first) · second; row tiles of the two segments alternate within a unit.</summary>
    public readonly int IsSwiGlu = isSwiGlu;

    /// <summary>[M, N]</summary>
    public readonly Matrix<float> Residual = residual;

    /// <summary>[M, 1], before the sigmoid.</summary>
    public readonly Matrix<float> Gate = gate;

    /// <summary>[M, units] the largest of each unit's logits as <see cref="RankedToken"/>.</summary>
    public readonly Matrix<ulong> Best = best;

    /// <summary>Rows from here on are no tokens.</summary>
    public readonly int VocabularySize = vocabularySize;

    /// <summary>[splits, units, row tiles of a unit, M, 16] where K is split over groups.</summary>
    public readonly ArrayView<float> SplitSums = splitSums;

    /// <summary>[units] zeros, between launches.</summary>
    public readonly ArrayView<int> Tickets = tickets;
}
