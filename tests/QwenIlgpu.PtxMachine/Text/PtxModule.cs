using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.PtxMachine;

/// <summary>A parsed and decoded PTX text.</summary>
public sealed partial class PtxModule
{
    private PtxModule(IReadOnlyDictionary<string, PtxKernel> kernels) => Kernels = kernels;

    /// <summary>The entries, by name.</summary>
    public IReadOnlyDictionary<string, PtxKernel> Kernels { get; }

    /// <param name="text">PTX.</param>
    /// <param name="contracts">Whether products go unrounded into sums, as an assembler may have them where no rounding is named.</param>
    /// <exception cref="PtxException">The text is no PTX, or names an instruction that the machine does not know; the message has the line.</exception>
    public static PtxModule Parse(string text, bool contracts = false)
    {
        string[] lines = text.Split('\n');
        return new PtxModule(new PtxParser(text).Parse()
            .ToDictionary(e => e.Name, e => new PtxKernel(Decoder.Decode(e, lines, ViewsOf(text, e.Name), contracts))));
    }

    // What the loader says above an entry: "// views of Kernel_GatherRows: 8[4] 40[4]", a place in the buffer and the bytes of an element.
    private static Dictionary<int, int> ViewsOf(string text, string entry)
    {
        Match comment = ViewsPattern().Matches(text).FirstOrDefault(m => m.Groups["entry"].Value == entry) ?? Match.Empty;
        return ViewPattern().Matches(comment.Groups["views"].Value).ToDictionary(
            m => int.Parse(m.Groups["place"].ValueSpan, CultureInfo.InvariantCulture),
            m => int.Parse(m.Groups["bytes"].ValueSpan, CultureInfo.InvariantCulture));
    }

    [GeneratedRegex(@"^// views of (?<entry>[\w$]+):(?<views>.*)$", RegexOptions.Multiline)]
    private static partial Regex ViewsPattern();

    [GeneratedRegex(@"(?<place>\d+)\[(?<bytes>\d+)\]")]
    private static partial Regex ViewPattern();
}

/// <summary>An entry of a module.</summary>
public sealed class PtxKernel
{
    internal PtxKernel(Program program) => Program = program;

    public string Name => Program.Name;

    /// <summary>The text of its module.</summary>
    public string Text => string.Join('\n', Program.Lines);

    /// <summary>Bytes of the parameter buffer.</summary>
    public int ParameterBytes => Program.Entry.ParameterBytes;

    /// <summary>Static shared memory of a group.</summary>
    public int SharedBytes => Program.Shared.StaticBytes;

    /// <summary>The most threads a group may have by <c>.maxntid</c>; 1024 without one.</summary>
    public int MaxGroupThreads => Program.Entry.MaxGroupThreads;

    /// <summary>Groups that a multiprocessor must hold at once by <c>.minnctapersm</c>; 1 without one.</summary>
    public int MinGroups => Program.Entry.MinGroups;

    internal Program Program { get; }
}

/// <summary>A text that the machine cannot run, with the line of the trouble.</summary>
public sealed class PtxException(int line, string message) : Exception($"line {line}: {message}")
{
    public int Line { get; } = line;
}
