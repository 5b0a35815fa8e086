namespace QwenIlgpu.Cuda.Tests;

/// <summary>What may not happen in steady decode or inside a capture.</summary>
internal static class CallRules
{
    private const int NotReady = 600;

    private static readonly string[] OnStreams =
    [
        "cuLaunchKernel", "cuMemcpyAsync", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemsetD8Async", "cuEventRecord", "cuEventSynchronize",
        "cuStreamWaitEvent", "cuStreamSynchronize", "cuGraphLaunch",
    ];

    private static readonly string[] Waits = ["cuCtxSynchronize", "cuStreamSynchronize"];

    private static readonly string[] Allocations =
    [
        "cuMemAlloc", "cuMemFree", "cuMemAllocHost", "cuMemFreeHost", "cuMemHostRegister", "cuMemHostUnregister", "cuEventCreate", "cuEventDestroy",
        "cuStreamCreate", "cuStreamDestroy", "cuModuleLoad", "cuModuleUnload", "cuGraphInstantiate", "cuGraphExecDestroy", "cuGraphDestroy", "cuCtxCreate",
    ];

    /// <summary>What a steady decode step may not do; empty when the calls keep every rule.</summary>
    public static string[] BrokenInSteadyDecode(IEnumerable<DriverCall> calls) => [.. calls.SelectMany(Broken)];

    /// <summary>What may not be done between the beginning and the end of a capture.</summary>
    public static string[] BrokenInCapture(IEnumerable<DriverCall> calls) =>
    [
        .. calls.Where(c => c.Capturing && c.Call is not ("cuStreamBeginCapture" or "cuStreamEndCapture"))
            .SelectMany(c => c is { IsLaunch: true, Origin: not CallOrigin.Captured } ? Broken(c).Append($"outside the graph: {c}") : Broken(c)),
    ];

    private static IEnumerable<string> Broken(DriverCall call)
    {
        if (call.Stream == 0 && OnStreams.Contains(call.Call))
            yield return $"NULL stream: {call}";
        if (Waits.Contains(call.Call))
            yield return $"waits for more than an event: {call}";
        if (Allocations.Contains(call.Call))
            yield return $"allocates or frees: {call}";
        if (call.Pageable)
            yield return $"host memory that is not page-locked: {call}";
        if (call.Result is not (0 or NotReady))
            yield return $"fails: {call}";
    }
}
