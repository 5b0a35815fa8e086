using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>The fixed list of what is changed in a kernel's text, line by line.</summary>
internal static partial class MutationOperators
{
    private const int WordBytes = 4;
    private const int HalfWarp = 16;

    /// <summary>All mutations of the first entry of a text, in the order of its lines.</summary>
    public static IReadOnlyList<Mutation> Of(string text)
    {
        string[] lines = text.Split('\n');
        IReadOnlyDictionary<int, long> bounds = LoopBounds.Find(lines);
        int first = Array.FindIndex(lines, l => l.Contains(".entry", StringComparison.Ordinal));
        return
        [
            .. Enumerable.Range(first + 1, lines.Length - first - 1)
                .SelectMany(i => Of(lines[i], bounds.TryGetValue(i, out long step) ? step : 0)
                    .Select(m => new Mutation(m.Operator, i + 1, lines[i], m.After))),
        ];
    }

    /// <summary>What is changed in one line; <paramref name="step"/> is how far a loop goes whose bound it compares, 0 in any other line.</summary>
    public static IEnumerable<(MutationOperator Operator, string After)> Of(string line, long step) =>
    [
        .. Dropped().IsMatch(line) ? [(MutationOperator.Dropped, "")] : Array.Empty<(MutationOperator, string)>(),
        .. WaitGroups(line), .. SharedOffsets(line), .. MmaOperands(line), .. Predicates(line), .. Shuffles(line), .. Bounds(line, step),
    ];

    private static IEnumerable<(MutationOperator, string)> WaitGroups(string line)
    {
        if (WaitGroup().Match(line) is { Success: true } wait)
            yield return (MutationOperator.WaitGroup, Replaced(line, wait.Groups["groups"], Number(wait.Groups["groups"]) + 1));
    }

    private static IEnumerable<(MutationOperator, string)> SharedOffsets(string line)
    {
        if (SharedAddress().Match(line) is not { Success: true } at)
            yield break;
        long offset = at.Groups["offset"].Success ? Number(at.Groups["offset"]) : 0;
        foreach (long word in new[] { WordBytes, -WordBytes })
        {
            string moved = FormattableString.Invariant($"[{at.Groups["base"].Value}+{offset + word}]").Replace("+-", "-", StringComparison.Ordinal);
            yield return (MutationOperator.SharedOffset, line[..at.Groups["address"].Index] + moved + line[(at.Groups["address"].Index + at.Groups["address"].Length)..]);
        }
    }

    private static IEnumerable<(MutationOperator, string)> MmaOperands(string line)
    {
        if (!line.Contains("mma.sync", StringComparison.Ordinal))
            yield break;
        Match[] operands = [.. Vector().Matches(line).Cast<Match>()];
        foreach (Match operand in operands[1..^1])      // neither the sum nor what it is added to
        {
            string[] registers = operand.Value.Trim('{', '}').Split(',', StringSplitOptions.TrimEntries);
            (registers[0], registers[1]) = (registers[1], registers[0]);
            if (registers[0] != registers[1])
                yield return (MutationOperator.MmaOperands, $"{line[..operand.Index]}{{{string.Join(", ", registers)}}}{line[(operand.Index + operand.Length)..]}");
        }
    }

    private static IEnumerable<(MutationOperator, string)> Predicates(string line)
    {
        if (Guard().Match(line) is { Success: true } guard)
            yield return (MutationOperator.Predicate, Replaced(line, guard.Groups["not"], guard.Groups["not"].Length > 0 ? "" : "!"));
    }

    // A butterfly with another distance still sums over all lanes where only its place among the steps is another: half of it does not.
    private static IEnumerable<(MutationOperator, string)> Shuffles(string line)
    {
        if (Shuffle().Match(line) is not { Success: true } shuffle)
            yield break;
        Group lane = shuffle.Groups["lane"];
        bool isButterfly = line.Contains(".bfly.", StringComparison.Ordinal);
        yield return (
            MutationOperator.Shuffle,
            lane.Value.StartsWith('%')
                ? $"\t{{ .reg .b32 %mutant; {(isButterfly ? "shr.u32" : "xor.b32")} %mutant, {lane.Value}, {(isButterfly ? 1 : HalfWarp)}; {Replaced(line, lane, "%mutant").Trim()} }}"
                : Replaced(line, lane, isButterfly ? Number(lane) >> 1 : Number(lane) ^ HalfWarp));
        yield return (MutationOperator.Shuffle, Replaced(line, shuffle.Groups["mask"], "0x0000ffff"));
    }

    private static IEnumerable<(MutationOperator, string)> Bounds(string line, long step)
    {
        if (step == 0 || Comparison().Match(line) is not { Success: true } compare)
            yield break;
        Group bound = compare.Groups["bound"];
        string bits = compare.Groups["bits"].Value;
        foreach (long by in new[] { step, -step })
        {
            yield return (
                MutationOperator.LoopBound,
                bound.Value.StartsWith('%')
                    ? FormattableString.Invariant(
                        $"\t{{ .reg .b{bits} %mutant; add.s{bits} %mutant, {bound.Value}, {by}; {Replaced(line, bound, "%mutant").Trim()} }}")
                    : Replaced(line, bound, Number(bound) + by));
        }
    }

    private static string Replaced(string line, Group group, object value) =>
        string.Create(CultureInfo.InvariantCulture, $"{line[..group.Index]}{value}{line[(group.Index + group.Length)..]}");

    private static long Number(Group group) => group.Value.StartsWith("0x", StringComparison.Ordinal)
        ? long.Parse(group.ValueSpan[2..], NumberStyles.HexNumber, CultureInfo.InvariantCulture)
        : (long)Int128.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^\s*(cp\.async\.wait_(group|all)|bar\.|barrier\.|membar\.|fence\.)")]
    private static partial Regex Dropped();

    [GeneratedRegex(@"cp\.async\.wait_group\s+(?<groups>\d+);")]
    private static partial Regex WaitGroup();

    [GeneratedRegex(@"(st\.shared|ld\.shared|ldmatrix|cp\.async\.c[ag]\.shared)[^\[]*(?<address>\[(?<base>[%\w$]+)(\+(?<offset>-?\d+))?\])")]
    private static partial Regex SharedAddress();

    [GeneratedRegex(@"\{[^{}]*\}")]
    private static partial Regex Vector();

    [GeneratedRegex(@"^[\s{]*@(?<not>!?)%")]
    private static partial Regex Guard();

    [GeneratedRegex(@"shfl\.sync\.\w+\.b32\s+[^,]+, %\w+, (?<lane>%?\w+), \w+, (?<mask>\w+);")]
    private static partial Regex Shuffle();

    [GeneratedRegex(@"setp\.[\w.]+\.[su](?<bits>32|64)\s+%p\d+, [^,]+, (?<bound>[^,;]+)[,;]")]
    private static partial Regex Comparison();
}
