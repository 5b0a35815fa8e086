namespace QwenIlgpu.Kernels;

/// <summary>
/// Names the class whose method of the same name and parameters is compiled in place of an instruction on OpenCL, unless that has an
/// <see cref="OpenClAttribute"/>. It is kernel code itself, unlike the instruction's body, and must be inlined where it has <c>ref</c>
/// parameters: a function of its own would need a generic address space.
/// </summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class EmulatedByAttribute(Type emulation) : Attribute
{
    public Type Emulation { get; } = emulation;
}
