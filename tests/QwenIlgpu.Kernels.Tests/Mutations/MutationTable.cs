using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What became of a mutation: whether a test comes to its line, and which one fails; null: none.</summary>
internal sealed record MutationResult(string Kernel, Mutation Mutation, bool IsReached, string? KilledBy);

/// <summary>A change that no test notices, wherever it is made in a kernel: so many of so many, and why.</summary>
internal sealed record Survivor(string Kernel, string Operator, string Change, int Surviving, int Of, string Reason);

/// <summary>Mutants of a kernel, and how many are killed, by operator too: <c>9/9 | 1/2</c>.</summary>
internal sealed record KernelRow(string Kernel, int All, int Killed, string ByOperator);

/// <summary><c>bench/mutations.md</c>: what was killed of each kernel, and what survived, with its reason.</summary>
internal sealed partial class MutationTable
{
    /// <summary>The reason of a survivor that nobody has looked at.</summary>
    public const string Unknown = "?";

    private const string Head = """
        # Wrong kernels that the tests were shown

        Each hot kernel's PTX is changed in one place as a slip of its author would have changed it, and the quick tests that come to that
        place run on the PTX machine with the wrong kernel, the shortest first. A mutant is killed when one of them fails, by its bound or by a
        rule of the machine. The slips: a wait, a barrier or a fence dropped; `wait_group N + 1`; a word more or less in an offset of shared
        memory; two registers of an operand of `mma` for each other; a guard negated; a shuffle from a lane of the other half or at half its
        distance, or without half of the warp; a loop an iteration longer or shorter.

        A mutant meets tests until they have taken a million turns of warps, long ones last: some survivors would not survive the whole suite. A
        survivor is equivalent, or a test is missing; `?`: nobody has found out yet. A seeded sample is tried in the exhaustive run
        (`MutationTests`). This table is of all of them; when it is made anew reasons are kept, unless more survive than they are of:

        ```sh
        dotnet run -c Release --project tests/QwenIlgpu.Kernels.Tests -- --exhaustive --filter "FullyQualifiedName~MutationTests.ASample" --test-parameter mutations=all
        ```

        """;

    private readonly Dictionary<(string Kernel, string Operator, string Change), Survivor> survivors;

    private MutationTable(IEnumerable<KernelRow> kernels, IEnumerable<Survivor> survivors)
    {
        Kernels = [.. kernels.OrderBy(k => IndexOf(k.Kernel))];
        this.survivors = survivors.ToDictionary(s => (s.Kernel, s.Operator, s.Change));
    }

    public static string Path { get; } = Repository.PathTo("bench", "mutations.md");

    public IReadOnlyList<KernelRow> Kernels { get; }

    public IReadOnlyCollection<Survivor> Survivors => survivors.Values;

    public static MutationTable Read()
    {
        var kernels = new List<KernelRow>();
        var survivors = new List<Survivor>();
        string kernel = "";
        foreach (string line in File.Exists(Path) ? File.ReadLines(Path) : [])
        {
            if (line.StartsWith("### ", StringComparison.Ordinal))
                kernel = line[4..].Trim('`');
            else if (KernelLine().Match(line) is { Success: true } row)
                kernels.Add(new KernelRow(row.Groups["kernel"].Value, Number(row.Groups["all"]), Number(row.Groups["killed"]), row.Groups["rest"].Value));
            else if (SurvivorLine().Match(line) is { Success: true } s)
            {
                survivors.Add(new Survivor(
                    kernel, s.Groups["operator"].Value, s.Groups["change"].Value, Number(s.Groups["surviving"]), Number(s.Groups["of"]), s.Groups["reason"].Value));
            }
        }

        return new MutationTable(kernels, survivors);
    }

    public bool Knows(MutationResult result) => survivors.ContainsKey(KeyOf(result));

    /// <summary>This table with these results in place of what it has of their kernels; reasons are kept, but where more survive than they are of.</summary>
    public MutationTable With(IReadOnlyList<MutationResult> results)
    {
        MutationOperator[] operators = Enum.GetValues<MutationOperator>();
        string[] renewed = [.. results.Select(r => r.Kernel).Distinct()];
        IEnumerable<KernelRow> rows = results.GroupBy(r => r.Kernel).Select(k => new KernelRow(
            k.Key, k.Count(), Killed(k), string.Join(" | ", operators.Select(o => Share(k.Where(r => r.Mutation.Operator == o))))));
        IEnumerable<Survivor> surviving = results.GroupBy(KeyOf).Where(c => c.Any(r => r.KilledBy is null)).Select(c => new Survivor(
            c.Key.Kernel, c.Key.Operator, c.Key.Change, c.Count() - Killed(c), c.Count(),
            survivors.TryGetValue(c.Key, out Survivor? known) && known.Surviving >= c.Count() - Killed(c) ? known.Reason : Unknown));
        return new MutationTable(
            [.. Kernels.Where(k => !renewed.Contains(k.Kernel)), .. rows], [.. Survivors.Where(s => !renewed.Contains(s.Kernel)), .. surviving]);
    }

    public void Write()
    {
        var text = new StringBuilder(Head);
        (int all, int killed) = (Kernels.Sum(k => k.All), Kernels.Sum(k => k.Killed));
        text.AppendLine(CultureInfo.InvariantCulture, $"All together: {killed} of {all} killed, {100.0 * killed / all:F1} %.").AppendLine();
        text.AppendLine($"| kernel | mutants | killed | % | {string.Join(" | ", Enum.GetValues<MutationOperator>().Select(NameOf))} |");
        text.AppendLine($"|---|--:|--:|--:|{string.Concat(Enum.GetValues<MutationOperator>().Select(_ => "--:|"))}");
        foreach (KernelRow row in Kernels)
            text.AppendLine(CultureInfo.InvariantCulture, $"| `{row.Kernel}` | {row.All} | {row.Killed} | {100.0 * row.Killed / row.All:F1} | {row.ByOperator} |");
        text.AppendLine().AppendLine("## What survives, and why");
        foreach (KernelRow row in Kernels.Where(k => k.Killed < k.All))
        {
            text.AppendLine().AppendLine($"### `{row.Kernel}`").AppendLine();
            text.AppendLine("| slip | instead | survive | of | reason |").AppendLine("|---|---|--:|--:|---|");
            foreach (Survivor s in Survivors.Where(s => s.Kernel == row.Kernel))
                text.AppendLine(CultureInfo.InvariantCulture, $"| {s.Operator} | `{s.Change}` | {s.Surviving} | {s.Of} | {s.Reason} |");
        }

        File.WriteAllText(Path, text.ToString());
    }

    private static int IndexOf(string kernel) => HotKernel.All.ToList().FindIndex(k => k.Name == kernel);

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

    [GeneratedRegex(@"^\| `(?<kernel>[^`]+)` \| (?<all>\d+) \| (?<killed>\d+) \| [\d.]+ \| (?<rest>.*) \|$")]
    private static partial Regex KernelLine();

    [GeneratedRegex(@"^\| (?<operator>[\w, ]+) \| `(?<change>[^`]+)` \| (?<surviving>\d+) \| (?<of>\d+) \| (?<reason>.*) \|$")]
    private static partial Regex SurvivorLine();
}
