namespace QwenIlgpu.PtxMachine;

/// <summary>One call that the driver recorded.</summary>
public sealed record DriverCall
{
    public required string Call { get; init; }

    /// <summary>Kernel of a launch; else empty.</summary>
    public required string Name { get; init; }

    /// <summary>0 is the NULL stream.</summary>
    public nint Stream { get; init; }

    /// <summary>Event, graph, memory or module that the call is about.</summary>
    public nint Subject { get; init; }

    /// <summary>Bytes copied or allocated, or of a launch's arguments; kernels of a graph.</summary>
    public long Bytes { get; init; }

    /// <summary>Of a launch's arguments, or of what a copy to the device copies.</summary>
    public ulong Hash { get; init; }

    public (uint X, uint Y, uint Z) Grid { get; init; }

    public (uint X, uint Y, uint Z) Block { get; init; }

    public int Shared { get; init; }

    public CallOrigin Origin { get; init; }

    /// <summary>A copy from or to host memory that is not page-locked.</summary>
    public bool Pageable { get; init; }

    /// <summary>Whether any stream was under capture.</summary>
    public bool Capturing { get; init; }

    public int Result { get; init; }

    public bool IsLaunch => Call == "cuLaunchKernel";

    /// <summary>What makes two launches the same one, whatever the stream.</summary>
    public (string Name, (uint X, uint Y, uint Z) Grid, (uint X, uint Y, uint Z) Block, int Shared, ulong Arguments) Identity =>
        (Name, Grid, Block, Shared, Hash);

    public override string ToString() =>
        $"{Call}{(Name.Length > 0 ? $" {Name}" : "")} on {(Stream == 0 ? "the NULL stream" : $"stream {Stream:x}")}, {Bytes} bytes" +
        $"{(Result == 0 ? "" : $", error {Result}")}";
}

/// <summary>How a launch came to be recorded.</summary>
public enum CallOrigin
{
    /// <summary>Launched on a stream.</summary>
    Direct,

    /// <summary>Recorded into a graph under capture.</summary>
    Captured,

    /// <summary>Launched as part of a graph.</summary>
    Replayed,
}

/// <summary>The kinds of handle that the driver counts.</summary>
public enum HandleKind
{
    Context,
    Stream,
    Event,
    Graph,
    GraphExec,
    Module,
    DeviceMemory,
    HostMemory,
}
