namespace QwenIlgpu;

/// <summary>
/// A request is refused because as many as <see cref="EngineOptions.MaxSequences"/> and <see cref="EngineOptions.MaxQueuedRequests"/> allow
/// have not ended yet. Those are untouched; try again when one has.
/// </summary>
public sealed class EngineQueueFullException : InvalidOperationException
{
    internal EngineQueueFullException(int maxSequences, int maxQueuedRequests)
        : base($"the engine has {maxSequences + (long)maxQueuedRequests} requests that have not ended: MaxSequences is {maxSequences}, MaxQueuedRequests {maxQueuedRequests}; try again later, or raise one")
    {
    }
}

/// <summary>
/// The engine has stopped because a step failed on its device: every live and waiting request ends with this exception, and further ones are
/// refused with it. Dispose the engine and make another.
/// </summary>
public sealed class EngineStoppedException : InvalidOperationException
{
    internal EngineStoppedException(string deviceName, Exception cause)
        : base($"the engine has stopped, a step failed on {deviceName}: {cause.Message}", cause)
    {
    }
}
