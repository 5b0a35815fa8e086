namespace QwenIlgpu.Kernels;

/// <summary>
/// OpenCL C statements that a method stands for, where the emulation's own code cannot say them: $d is the result, $0 … $9 are the
/// operands, a <c>ref</c> as a pointer.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OpenClAttribute(string text) : Attribute
{
    public string Text { get; } = text;

    /// <summary>A declaration that the kernel needs once, however often the method is called.</summary>
    public string? Declaration { get; init; }
}
