namespace QwenIlgpu;

/// <summary>The requests whose logits rows a queued step draws for, in order; reused from step to step.</summary>
internal sealed class QueuedStep(int capacity)
{
    private readonly GenerationRequest[] requests = new GenerationRequest[capacity];

    public int Count { get; private set; }

    public GenerationRequest this[int row] => requests[row];

    public void Add(GenerationRequest request) => requests[Count++] = request;

    public void Clear() => Count = 0;
}
