using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What became of a mutation: whether a test comes to its line, and which one fails; null: none.</summary>
internal sealed record MutationResult(string Kernel, Mutation Mutation, bool IsReached, string? KilledBy);

/// <summary>A change that no test notices, wherever it is made in a kernel: so many of so many, and why.</summary>
internal sealed record Survivor(string Kernel, string Operator, string Change, int Surviving, int Of, string Reason);

/// <summary><c>bench/mutations.md</c>: what was killed of each kernel, and what survived, with its reason.</summary>
internal sealed partial class MutationTable
{
    private const string Head = """
        # Wrong kernels that the tests were shown

        Each hot kernel's PTX is changed in one place as a slip of its author would have changed it, and the quick tests that come to that
        place run on the PTX machine with the wrong kernel, the shortest first. A mutant is killed when one of them fails, by its bound or by a
        rule of the machine. The slips: a wait, a barrier or a fence dropped; `wait_group N + 1`; a word more or less in an offset of shared
        memory; two registers of an operand of `mma` for each other; a guard negated; a shuffle from the neighbour's lane, or without half of
        the warp; a loop an iteration longer or shorter.

        A seeded sample is tried in the exhaustive run (`MutationTests`). This table is of all of them; reasons are kept when it is made anew:

        ```sh
        dotnet run -c Release --project tests/QwenIlgpu.Kernels.Tests -- --exhaustive --filter "FullyQualifiedName~MutationTests.ASample" --test-parameter mutations=all
        ```

        """;

    private readonly Dictionary<(string Kernel, string Operator, string Change), Survivor> survivors;

    private MutationTable(IReadOnlyDictionary<string, (int All, int Killed)> kernels, IEnumerable<Survivor> survivors)
    {
        Kernels = kernels;
        this.survivors = survivors.ToDictionary(s => (s.Kernel, s.Operator, s.Change));
    }

    public static string Path { get; } = PathFrom();

    /// <summary>Mutants of each kernel, and how many of them are killed.</summary>
    public IReadOnlyDictionary<string, (int All, int Killed)> Kernels { get; }

    public IReadOnlyCollection<Survivor> Survivors => survivors.Values;

    public static MutationTable Read()
    {
        var kernels = new Dictionary<string, (int, int)>();
        var survivors = new List<Survivor>();
        string kernel = "";
        foreach (string line in File.Exists(Path) ? File.ReadLines(Path) : [])
        {
            if (line.StartsWith("### ", StringComparison.Ordinal))
                kernel = line[4..].Trim('`');
            else if (KernelRow().Match(line) is { Success: true } row)
                kernels.Add(row.Groups["kernel"].Value, (Number(row.Groups["all"]), Number(row.Groups["killed"])));
            else if (SurvivorRow().Match(line) is { Success: true } s)
            {
                survivors.Add(new Survivor(
                    kernel, s.Groups["operator"].Value, s.Groups["change"].Value, Number(s.Groups["surviving"]), Number(s.Groups["of"]), s.Groups["reason"].Value));
            }
        }

        return new MutationTable(kernels, survivors);
    }

    public bool Knows(MutationResult result) => survivors.ContainsKey(KeyOf(result));

    /// <summary>The table of these results, with the reasons that this one has.</summary>
    public string With(IReadOnlyList<MutationResult> results)
    {
        MutationOperator[] operators = Enum.GetValues<MutationOperator>();
        var text = new StringBuilder(Head);
        int killed = results.Count(r => r.KilledBy is not null);
        text.AppendLine(CultureInfo.InvariantCulture, $"All together: {killed} of {results.Count} killed, {100.0 * killed / results.Count:F1} %.").AppendLine();
        text.AppendLine($"| kernel | mutants | killed | % | {string.Join(" | ", operators.Select(NameOf))} |");
        text.AppendLine($"|---|--:|--:|--:|{string.Concat(operators.Select(_ => "--:|"))}");
        foreach (IGrouping<string, MutationResult> kernel in results.GroupBy(r => r.Kernel))
        {
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"| `{kernel.Key}` | {kernel.Count()} | {Killed(kernel)} | {100.0 * Killed(kernel) / kernel.Count():F1} | " +
                $"{string.Join(" | ", operators.Select(o => Share(kernel.Where(r => r.Mutation.Operator == o))))} |");
        }

        text.AppendLine().AppendLine("## What survives, and why");
        foreach (IGrouping<string, MutationResult> kernel in results.GroupBy(r => r.Kernel).Where(k => k.Any(r => r.KilledBy is null)))
        {
            text.AppendLine().AppendLine($"### `{kernel.Key}`").AppendLine();
            text.AppendLine("| slip | instead | survive | of | reason |").AppendLine("|---|---|--:|--:|---|");
            foreach (IGrouping<(string, string Operator, string Change), MutationResult> change in kernel.GroupBy(KeyOf).Where(c => c.Any(r => r.KilledBy is null)))
            {
                string reason = survivors.TryGetValue(change.Key, out Survivor? known) ? known.Reason : "?";
                text.AppendLine(
                    CultureInfo.InvariantCulture,
                    $"| {change.Key.Operator} | `{change.Key.Change}` | {change.Count() - Killed(change)} | {change.Count()} | {reason} |");
            }
        }

        return text.ToString();
    }

    private static (string Kernel, string Operator, string Change) KeyOf(MutationResult result) =>
        (result.Kernel, NameOf(result.Mutation.Operator) + (result.IsReached ? "" : ", not reached"), result.Mutation.Change);

    private static int Killed(IEnumerable<MutationResult> results) => results.Count(r => r.KilledBy is not null);

    private static string Share(IEnumerable<MutationResult> results) =>
        results.Any() ? string.Create(CultureInfo.InvariantCulture, $"{Killed(results)}/{results.Count()}") : "";

    private static string NameOf(MutationOperator mutation) => mutation switch
    {
        MutationOperator.Dropped => "dropped",
        MutationOperator.WaitGroup => "wait_group",
        MutationOperator.SharedOffset => "shared offset",
        MutationOperator.MmaOperands => "mma",
        MutationOperator.Predicate => "guard",
        MutationOperator.Shuffle => "shuffle",
        _ => "loop",
    };

    private static int Number(Group group) => int.Parse(group.ValueSpan, CultureInfo.InvariantCulture);

    private static string PathFrom([CallerFilePath] string source = "") =>
        System.IO.Path.GetFullPath(System.IO.Path.Combine(System.IO.Path.GetDirectoryName(source)!, "..", "..", "..", "bench", "mutations.md"));

    [GeneratedRegex(@"^\| `(?<kernel>[^`]+)` \| (?<all>\d+) \| (?<killed>\d+) \| ")]
    private static partial Regex KernelRow();

    [GeneratedRegex(@"^\| (?<operator>[\w, ]+) \| `(?<change>[^`]+)` \| (?<surviving>\d+) \| (?<of>\d+) \| (?<reason>.*) \|$")]
    private static partial Regex SurvivorRow();
}
