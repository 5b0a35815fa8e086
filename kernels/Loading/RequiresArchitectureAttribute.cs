namespace QwenIlgpu.Kernels;

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
