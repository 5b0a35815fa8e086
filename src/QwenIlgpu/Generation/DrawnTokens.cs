using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>What one step drew, on the host: ids [R] and, for requests that want them, log-probabilities [R] and the likeliest tokens [R, 20].</summary>
internal sealed class DrawnTokens(int rows)
{
    private const int MaxTop = SlotParameters.MaxTopLogProbs;

    public int[] Ids { get; } = new int[rows];

    public float[] LogProbs { get; } = new float[rows];

    public int[] TopIds { get; } = new int[rows * MaxTop];

    public float[] TopLogProbs { get; } = new float[rows * MaxTop];

    /// <summary>Hands a row's token to its reader.</summary>
    public void Write(int row, TokenStream stream, long timestamp) =>
        stream.Write(Ids[row], timestamp, LogProbs[row], TopIds.AsSpan(row * MaxTop, MaxTop), TopLogProbs.AsSpan(row * MaxTop, MaxTop));
}
