namespace QwenIlgpu.Cli;

/// <summary>
/// Ctrl-C: reaches whoever listened last, else ends the command. Listeners are a stack: an answer in a chat listens inside the
/// chat, the chat inside the command.
/// </summary>
internal sealed class Interrupts
{
    private readonly Lock gate = new();
    private readonly Stack<Action> listeners = new();

    /// <summary>What Ctrl-C does until the result is disposed.</summary>
    public IDisposable Listen(Action action)
    {
        lock (gate)
            listeners.Push(action);
        return new Listening(this);
    }

    /// <summary>Passes an interrupt on; false when nobody listens.</summary>
    public bool Raise()
    {
        Action? action;
        lock (gate)
            listeners.TryPeek(out action);
        action?.Invoke();
        return action is not null;
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
