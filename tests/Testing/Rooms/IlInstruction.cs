using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Emit;

namespace QwenIlgpu.Testing;

/// <summary>
/// An instruction of a method body. The operand is the number it names: a constant, a local, a token, or where a branch goes; a switch's
/// places are in <see cref="Targets"/>, as a branch's is.
/// </summary>
internal sealed record IlInstruction(int Offset, OpCode Code, long Operand, IReadOnlyList<int> Targets)
{
    private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(f => (OpCode)f.GetValue(null)!).ToDictionary(c => c.Value);

    /// <summary>The instructions of a method in the order of its text; none where it has no body.</summary>
    public static IReadOnlyList<IlInstruction> Of(MethodBase method)
    {
        byte[] text = method.GetMethodBody()?.GetILAsByteArray() ?? [];
        var instructions = new List<IlInstruction>();
        for (int at = 0; at < text.Length;)
        {
            int offset = at;
            int code = text[at++];
            if (code == 0xfe)
                code = (code << 8) | text[at++];
            OpCode known = Codes[(short)code];
            (long operand, IReadOnlyList<int> targets) = Read(known.OperandType, text, ref at);
            instructions.Add(new IlInstruction(offset, known, operand, targets));
        }

        return instructions;
    }

    private static (long Operand, IReadOnlyList<int> Targets) Read(OperandType type, byte[] text, ref int at)
    {
        int bytes = type switch
        {
            OperandType.InlineNone => 0,
            OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
            OperandType.InlineVar => 2,
            OperandType.InlineI8 or OperandType.InlineR => 8,
            _ => 4,
        };
        ReadOnlySpan<byte> operand = text.AsSpan(at, bytes);
        at += bytes;
        long number = bytes switch
        {
            0 => 0,
            1 => (sbyte)operand[0],
            2 => BinaryPrimitives.ReadInt16LittleEndian(operand),
            4 => BinaryPrimitives.ReadInt32LittleEndian(operand),
            _ => BinaryPrimitives.ReadInt64LittleEndian(operand),
        };
        if (type is OperandType.ShortInlineBrTarget or OperandType.InlineBrTarget)
            return (at + number, [(int)(at + number)]);
        if (type != OperandType.InlineSwitch)
            return (number, []);
        var targets = new int[number];
        int end = at + (4 * targets.Length);
        for (int i = 0; i < targets.Length; i++)
            targets[i] = end + BinaryPrimitives.ReadInt32LittleEndian(text.AsSpan(at + (4 * i)));
        at = end;
        return (number, targets);
    }
}
