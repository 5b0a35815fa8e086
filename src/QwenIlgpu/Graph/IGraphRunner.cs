namespace QwenIlgpu;

/// <summary>What runs a recorded and bound graph, step after step, on the device that it is bound to.</summary>
internal interface IGraphRunner
{
    /// <summary>Queues one run; allocates nothing of ours.</summary>
    void Run();
}
