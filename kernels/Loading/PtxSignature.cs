using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels;

/// <summary>The entry of a PTX module: its name, and where each parameter lies in a launch's parameter buffer.</summary>
internal sealed partial record PtxSignature(string Name, IReadOnlyList<PtxParameter> Parameters)
{
    /// <summary>Size of the parameter buffer.</summary>
    public int Bytes => Parameters.Count > 0 ? Parameters[^1].Offset + Parameters[^1].Bytes : 0;

    /// <exception cref="InvalidOperationException">The text holds no entry, or a parameter of an unknown form.</exception>
    public static PtxSignature Parse(string ptx)
    {
        Match entry = EntryPattern().Match(ptx);
        if (!entry.Success)
            throw new InvalidOperationException("PTX without an .entry");
        var parameters = new List<PtxParameter>();
        int offset = 0;
        string[] declarations =
            entry.Groups["parameters"].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        foreach (string declaration in declarations)
        {
            Match match = ParameterPattern().Match(declaration);
            if (!match.Success)
            {
                throw new InvalidOperationException(
                    $"PTX entry {entry.Groups["name"].Value} has a parameter of unknown form: {declaration}");
            }

            int elementBytes = Number(match, "bits", 0) / 8;
            int bytes = elementBytes * Number(match, "count", 1);
            int alignment = Number(match, "alignment", elementBytes);
            offset = (offset + alignment - 1) / alignment * alignment;
            parameters.Add(new PtxParameter(match.Groups["name"].Value, offset, bytes));
            offset += bytes;
        }

        return new PtxSignature(entry.Groups["name"].Value, parameters);
    }

    private static int Number(Match match, string group, int otherwise) =>
        match.Groups[group].Success ? int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture) : otherwise;

    [GeneratedRegex(@"\.entry\s+(?<name>[\w$]+)\s*\(\s*(?<parameters>[^)]*)\)")]
    private static partial Regex EntryPattern();

    [GeneratedRegex(@"^\.param\s+(\.align\s+(?<alignment>\d+)\s+)?\.[bfus](?<bits>\d+)\s+(?<name>[\w$]+)(\[(?<count>\d+)\])?$")]
    private static partial Regex ParameterPattern();
}

/// <summary>One parameter of a PTX entry.</summary>
internal sealed record PtxParameter(string Name, int Offset, int Bytes);
