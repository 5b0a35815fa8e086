using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The instructions of one loop of a kernel's machine code, as nvdisasm shows them.</summary>
internal sealed partial class MachineLoop(IReadOnlyList<string> instructions)
{
    public int Count => instructions.Count;

    /// <summary>The smallest loop that has as many tensor core instructions as any.</summary>
    public static MachineLoop OfTensorCores(string machineCode)
    {
        var instructions = new List<string>();
        var labels = new Dictionary<string, int>();
        var loops = new List<(int First, int Last)>();
        foreach (string line in machineCode.Split('\n'))
        {
            if (LabelPattern().Match(line) is { Success: true } label)
                labels[label.Groups[1].Value] = instructions.Count;
            if (InstructionPattern().Match(line) is not { Success: true } instruction)
                continue;
            string text = instruction.Groups[1].Value;
            if (BackPattern().Match(text) is { Success: true } back && labels.TryGetValue(back.Groups[1].Value, out int first))
                loops.Add((first, instructions.Count));
            instructions.Add(text);
        }

        (int from, int last) = loops.OrderByDescending(l => Products(l.First, l.Last)).ThenBy(l => l.Last - l.First).First();
        return new MachineLoop(instructions[from..(last + 1)]);

        int Products(int first, int last) => instructions[first..(last + 1)].Count(i => i.Contains("HMMA", StringComparison.Ordinal));
    }

    /// <summary>How many of the loop's instructions are of this kind: <c>LOP3</c>.</summary>
    public int CountOf(string kind) =>
        instructions.Count(i => Regex.IsMatch(i, string.Create(CultureInfo.InvariantCulture, $@"^(@!?U?P\w+\s+)?{kind}\b")));

    [GeneratedRegex(@"^\s*(\.L_x_\d+):")]
    private static partial Regex LabelPattern();

    [GeneratedRegex(@"/\*[0-9a-f]{4,5}\*/\s+(.*?)\s*;")]
    private static partial Regex InstructionPattern();

    [GeneratedRegex(@"\bBRA\b.*`\((\.L_x_\d+)\)")]
    private static partial Regex BackPattern();
}
