namespace QwenIlgpu.Kernels;

/// <summary>
/// The largest group that a kernel is launched with, which lets the assembler give each thread more registers, and the groups
/// that must fit on a multiprocessor at once.
/// </summary>
[AttributeUsage(AttributeTargets.Struct)]
internal sealed class LaunchBoundsAttribute(int maxThreads) : Attribute
{
    public int MaxThreads { get; } = maxThreads;

    /// <summary>0: as many as happen to fit.</summary>
    public int MinGroups { get; init; }
}

/// <summary>
/// Names type arguments with which a generic kernel is used, so that tests can compile each of them to PTX. A kernel without is used
/// with all that its constraints allow.
/// </summary>
[AttributeUsage(AttributeTargets.Struct, AllowMultiple = true)]
internal sealed class InstantiationAttribute(params Type[] arguments) : Attribute
{
    public Type[] Arguments { get; } = arguments;
}

/// <summary>
/// The least compute capability of a kernel that uses instructions which ILGPU's own <c>.target</c> (at most sm_80) forbids: its
/// PTX is retargeted to the device it is loaded on.
/// </summary>
[AttributeUsage(AttributeTargets.Struct)]
internal sealed class RequiresArchitectureAttribute(int major, int minor) : Attribute
{
    public int Major { get; } = major;

    public int Minor { get; } = minor;

    /// <summary>Targets the device's own feature set (sm_90a), which no other architecture runs.</summary>
    public bool DeviceOnly { get; init; }
}

/// <summary>
/// The kernel executes griddepcontrol.wait before it touches global memory, so that it may be started while the launch before it
/// is still running (programmatic dependent launch).
/// </summary>
[AttributeUsage(AttributeTargets.Struct)]
internal sealed class WaitsForPredecessorAttribute : Attribute;
