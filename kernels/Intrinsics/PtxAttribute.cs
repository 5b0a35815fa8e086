namespace QwenIlgpu.Kernels;

/// <summary>
/// The PTX that a method stands for: $d is its result, $0 … $9 its operands (a structure as <c>{x, y, …}</c>), $s0 … the address of a
/// <c>ref</c> operand as 32 bits within shared memory, $g0 … the address of one in global memory. The method's body is what the
/// instruction does, for ILGPU's CPU accelerator. An immediate must be part of the text: one method a value.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PtxAttribute(string text) : Attribute
{
    public string Text { get; } = text;
}
