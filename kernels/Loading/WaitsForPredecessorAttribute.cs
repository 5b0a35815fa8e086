namespace QwenIlgpu.Kernels;

/// <summary>
/// The kernel executes griddepcontrol.wait before it touches global memory, so that it may be started while the launch before it
/// is still running (programmatic dependent launch).
/// </summary>
[AttributeUsage(AttributeTargets.Struct)]
internal sealed class WaitsForPredecessorAttribute : Attribute;
