namespace QwenIlgpu.PtxMachine;

/// <summary>An object that callers know by a handle, and count.</summary>
internal interface IDriverObject
{
    HandleKind Kind { get; }

    /// <summary>What it goes with.</summary>
    DriverContext Context { get; }
}

/// <summary>The objects that callers know by handle. A handle is never used again, so that one used too long is found out.</summary>
internal sealed class DriverHandles
{
    private const int Step = 16;

    private readonly Dictionary<nint, object> alive = [];
    private readonly int[] counts = new int[Enum.GetValues<HandleKind>().Length];
    private nint last;

    public nint Add(object value)
    {
        last += Step;
        alive.Add(last, value);
        if (value is IDriverObject counted)
            counts[(int)counted.Kind]++;
        return last;
    }

    /// <exception cref="DriverException">There is no such object, or no longer.</exception>
    public T Get<T>(nint handle, DriverResult otherwise = DriverResult.InvalidHandle)
        where T : class => alive.TryGetValue(handle, out object? value) && value is T found ? found : throw new DriverException(otherwise);

    /// <exception cref="DriverException">There is no such object, or no longer.</exception>
    public T Remove<T>(nint handle, DriverResult otherwise = DriverResult.InvalidHandle)
        where T : class
    {
        T value = Get<T>(handle, otherwise);
        alive.Remove(handle);
        if (value is IDriverObject counted)
            counts[(int)counted.Kind]--;
        return value;
    }

    /// <summary>
    /// Removes what goes with a context. It counts on as alive, for those who forgot it; after a fault of the context nobody could have
    /// destroyed it.
    /// </summary>
    public void RemoveAllOf(DriverContext context)
    {
        foreach ((nint handle, object value) in alive.ToArray())
        {
            DriverContext? owner = (value as IDriverObject)?.Context ?? (value as DriverFunction)?.Context;
            if (owner != context || value == context)
                continue;
            alive.Remove(handle);
            if (context.IsPoisoned && value is IDriverObject counted)
                counts[(int)counted.Kind]--;
        }
    }

    /// <summary>Objects of a kind that nobody has destroyed; memory is counted by <see cref="DriverMemory"/>.</summary>
    public int Count(HandleKind kind) => counts[(int)kind];
}
