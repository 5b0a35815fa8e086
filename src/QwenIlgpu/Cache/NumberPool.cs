namespace QwenIlgpu;

/// <summary>Free numbers of a pool, lowest first handed out at the start; number 0 is reserved for padding and never handed out.</summary>
internal sealed class NumberPool
{
    private readonly Stack<int> free;

    public NumberPool(int count)
    {
        Count = count - 1;
        free = new Stack<int>(count);
        for (int i = count - 1; i >= 1; i--)
            free.Push(i);
    }

    /// <summary>Numbers that can be handed out in all.</summary>
    public int Count { get; }

    public int Available => free.Count;

    public int Take() => free.Pop();

    public void Return(int number) => free.Push(number);
}
