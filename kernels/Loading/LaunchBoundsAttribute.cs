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
