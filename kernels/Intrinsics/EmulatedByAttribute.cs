namespace QwenIlgpu.Kernels;

/// <summary>
/// Names the class whose method of the same name and parameters is compiled in place of an intrinsic on OpenCL, if that has no text of its own. It is kernel code
/// itself, unlike the body of the intrinsic, and must not be excluded from inlining where it has <c>ref</c> parameters.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class EmulatedByAttribute(Type emulation) : Attribute
{
    public Type Emulation { get; } = emulation;
}
