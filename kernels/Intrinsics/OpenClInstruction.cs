using System.Reflection;
using System.Text.RegularExpressions;
using ILGPU.Backends;
using ILGPU.Backends.OpenCL;
using ILGPU.IR;
using ILGPU.IR.Values;
using ILGPU.Util;

namespace QwenIlgpu.Kernels;

/// <summary>Writes the text of an <see cref="OpenClAttribute"/> with the variables of one call.</summary>
internal static partial class OpenClInstruction
{
    /// <summary>Handler of every method with such a text, called by ILGPU's OpenCL code generator.</summary>
    public static void Write(CLBackend backend, CLCodeGenerator generator, Value value)
    {
        var call = (MethodCall)value;
        OpenClAttribute instruction = call.Target.Source.GetCustomAttribute<OpenClAttribute>()!;
        if (instruction.Declaration is { } declaration)
            Declare(generator, $"\t{declaration};");

        VariableAllocator.Variable[] operands = new VariableAllocator.Variable[call.Nodes.Length];
        for (int i = 0; i < operands.Length; i++)
            operands[i] = generator.Load(call[i]);
        VariableAllocator.Variable? result = null;
        if (!call.Type.IsVoidType)
        {
            result = generator.Allocate(call);
            generator.Declare(result);
        }

        using CLCodeGenerator.StatementEmitter statement = generator.BeginStatement((RawString)"");
        foreach (string part in Placeholder().Split(instruction.Text))
        {
            if (part == "$d")
                statement.Append(result!);
            else if (part.StartsWith('$'))
                statement.Append(operands[part[1] - '0']);
            else
                statement.AppendCommand(part);
        }
    }

    private static void Declare(CLCodeGenerator generator, string declaration)
    {
        if (!generator.VariableBuilder.ToString().Contains(declaration, StringComparison.Ordinal))
            generator.VariableBuilder.AppendLine(declaration);
    }

    [GeneratedRegex(@"(\$[d0-9])")]
    private static partial Regex Placeholder();
}
