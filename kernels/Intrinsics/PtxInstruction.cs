using System.Reflection;
using System.Text;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Types;
using ILGPU.IR.Values;

namespace QwenIlgpu.Kernels;

/// <summary>Writes the text of a <see cref="PtxAttribute"/> with the registers of one call.</summary>
internal static class PtxInstruction
{
    /// <summary>Handler of every instruction, called by ILGPU's PTX code generator.</summary>
    public static void Write(PTXBackend backend, PTXCodeGenerator generator, Value value)
    {
        var call = (MethodCall)value;
        string text = call.Target.Source.GetCustomAttribute<PtxAttribute>()!.Text;
        string[] operands = new string[call.Nodes.Length];
        for (int i = 0; i < operands.Length; i++)
            operands[i] = Name(generator.Load(call[i]), generator);
        string result = call.Type.IsVoidType ? "" : Name(generator.Allocate(call), generator);

        // Names declared here live in braces of their own, so that a copy of the code may declare them again.
        var addresses = new StringBuilder();
        for (int i = 0; i < operands.Length; i++)
        {
            MemoryAddressSpace space = (call[i].Type as AddressSpaceType)?.AddressSpace ?? MemoryAddressSpace.Generic;
            text = SharedAddress(text, i, operands[i], space, addresses);
            text = GlobalAddress(text, i, operands[i], space, addresses);
            text = text.Replace($"${i}", operands[i], StringComparison.Ordinal);
        }

        text = text.Replace("$d", result, StringComparison.Ordinal);
        generator.Builder.AppendLine(addresses.Length == 0 ? $"\t{text}" : $"\t{{ {addresses}{text} }}");
    }

    // Where ILGPU has inferred the address space already, the register holds an address within it, and cvta would convert it again.
    private static string SharedAddress(string text, int index, string operand, MemoryAddressSpace space, StringBuilder addresses)
    {
        if (!text.Contains($"$s{index}", StringComparison.Ordinal))
            return text;
        addresses.Append($".reg .u32 _s{index}; ");
        if (space == MemoryAddressSpace.Shared)
        {
            addresses.Append($"cvt.u32.u64 _s{index}, {operand}; ");
        }
        else
        {
            addresses.Append($".reg .u64 _t{index}; cvta.to.shared.u64 _t{index}, {operand}; cvt.u32.u64 _s{index}, _t{index}; ");
        }

        return text.Replace($"$s{index}", $"_s{index}", StringComparison.Ordinal);
    }

    private static string GlobalAddress(string text, int index, string operand, MemoryAddressSpace space, StringBuilder addresses)
    {
        if (!text.Contains($"$g{index}", StringComparison.Ordinal))
            return text;
        if (space == MemoryAddressSpace.Global)
            return text.Replace($"$g{index}", operand, StringComparison.Ordinal);
        addresses.Append($".reg .u64 _g{index}; cvta.to.global.u64 _g{index}, {operand}; ");
        return text.Replace($"$g{index}", $"_g{index}", StringComparison.Ordinal);
    }

    // The representation lacks the percent sign; constants are moved into a register first.
    private static string Name(PTXRegisterAllocator.Register register, PTXCodeGenerator generator) => register switch
    {
        PTXRegisterAllocator.HardwareRegister hardware => $"%{PTXRegisterAllocator.GetStringRepresentation(hardware)}",
        PTXRegisterAllocator.PrimitiveRegister primitive =>
            $"%{PTXRegisterAllocator.GetStringRepresentation(generator.EnsureHardwareRegister(primitive))}",
        PTXRegisterAllocator.CompoundRegister compound => $"{{{string.Join(", ", compound.Children.Select(c => Name(c, generator)))}}}",
        _ => throw new NotSupportedException($"a register of type {register.GetType().Name}"),
    };
}

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
