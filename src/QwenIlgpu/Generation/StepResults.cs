using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// What one step drew, on the host: ids [R] and, for requests that want them, log-probabilities [R] and the likeliest tokens [R, 20]; and
/// the scores [S] of tokens that were given.
/// </summary>
internal sealed class StepResults(DeviceMemory memory, int rows, int scoredRows)
{
    private const int MaxTop = SlotParameters.MaxTopLogProbs;

    public HostBuffer<int> Ids { get; } = memory.AllocateHost<int>(rows);

    public HostBuffer<float> LogProbs { get; } = memory.AllocateHost<float>(rows);

    public HostBuffer<int> TopIds { get; } = memory.AllocateHost<int>(rows * MaxTop);

    public HostBuffer<float> TopLogProbs { get; } = memory.AllocateHost<float>(rows * MaxTop);

    public HostBuffer<float> Scores { get; } = memory.AllocateHost<float>(scoredRows);

    /// <summary>Reached when all of it is there.</summary>
    public DeviceEvent Arrived { get; } = memory.NewEvent();

    /// <summary>Hands a row's token to its reader.</summary>
    public void Write(int row, TokenStream stream, long timestamp) => stream.Write(
        Ids.Span[row], timestamp, LogProbs.Span[row], TopIds.Span.Slice(row * MaxTop, MaxTop), TopLogProbs.Span.Slice(row * MaxTop, MaxTop));
}
