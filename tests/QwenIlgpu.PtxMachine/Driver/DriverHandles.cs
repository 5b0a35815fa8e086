namespace QwenIlgpu.PtxMachine;

/// <summary>The objects that callers know by handle. A handle is never used again, so that one used too long is found out.</summary>
internal sealed class DriverHandles
{
    private const int Step = 16;

    private readonly Dictionary<nint, object> alive = new();
    private nint last;

    public nint Add(object value)
    {
        last += Step;
        alive.Add(last, value);
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
        return value;
    }

    /// <summary>Those alive of a kind.</summary>
    public IEnumerable<T> OfKind<T>()
        where T : class => alive.Values.OfType<T>();
}
