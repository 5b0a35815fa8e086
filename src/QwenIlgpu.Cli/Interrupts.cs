namespace QwenIlgpu.Cli;

/// <summary>
/// Ctrl-C: reaches whoever listened last, else ends the command. Listeners are a stack: an answer in a chat listens inside the
/// chat, the chat inside the command.
/// </summary>
internal sealed class Interrupts
{
    private readonly Lock gate = new();
    private readonly Stack<Func<bool>> listeners = new();

    /// <summary>What Ctrl-C does until the result is disposed; false leaves it to the system, which ends the process.</summary>
    public IDisposable Listen(Func<bool> action)
    {
        lock (gate)
            listeners.Push(action);
        return new Listening(this);
    }

    /// <summary>Passes an interrupt on; false when nobody took it.</summary>
    public bool Raise()
    {
        // Under the lock, so that no listener is called once it has been disposed.
        lock (gate)
            return listeners.TryPeek(out Func<bool>? action) && action();
    }

    private sealed class Listening(Interrupts interrupts) : IDisposable
    {
        public void Dispose()
        {
            lock (interrupts.gate)
                interrupts.listeners.Pop();
        }
    }
}
