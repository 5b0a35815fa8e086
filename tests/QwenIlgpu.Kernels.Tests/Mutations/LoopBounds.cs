using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Finds the comparisons that end loops in a kernel's text, and how far a loop goes in an iteration.</summary>
internal sealed partial class LoopBounds
{
    private readonly string[] lines;
    private readonly List<int> starts = [];         // the first line of each block, and one behind the last
    private readonly List<int[]> successors = [];
    private readonly bool[][] dominators;

    private LoopBounds(string[] lines)
    {
        this.lines = lines;
        Cut();
        dominators = Dominators();
    }

    /// <summary>Places of comparisons among the lines, from 0, with the step of the loop that they end: 1 where it is no number.</summary>
    public static IReadOnlyDictionary<int, long> Find(string[] lines)
    {
        var found = new Dictionary<int, long>();
        new LoopBounds(lines).Find(found);
        return found;
    }

    private void Find(Dictionary<int, long> found)
    {
        bool[] reached = Reached();
        for (int tail = 0; tail < successors.Count; tail++)
        {
            if (!reached[tail])         // the empty line behind a jump
                continue;
            foreach (int head in successors[tail].Where(s => dominators[tail][s]))
            {
                bool[] loop = LoopOf(head, tail);
                for (int block = 0; block < loop.Length; block++)
                {
                    if (loop[block] && successors[block].Length == 2 && successors[block].Any(s => !loop[s]))
                        AddComparisons(block, loop, found);
                }
            }
        }
    }

    // Of the branch at the end of a block: what its predicate is made of there.
    private void AddComparisons(int block, bool[] loop, Dictionary<int, long> found)
    {
        var wanted = new HashSet<string>();
        for (int line = starts[block + 1] - 1; line >= starts[block]; line--)
        {
            if (Branch().Match(lines[line]) is { Success: true } branch)
                wanted.Add(branch.Groups["predicate"].Value);
            else if (Predicate().Match(lines[line]) is { Success: true } made && wanted.Remove(made.Groups["result"].Value))
                wanted.UnionWith([made.Groups["left"].Value, made.Groups["right"].Value]);
            else if (Comparison().Match(lines[line]) is { Success: true } compared && wanted.Contains(compared.Groups["result"].Value))
                found[line] = StepOf(compared.Groups["left"].Value, loop);
        }
    }

    // The number that is added to what is compared, or to what is moved or converted there.
    private long StepOf(string register, bool[] loop)
    {
        var names = new HashSet<string> { register };
        for (int count = 0; count != names.Count;)
        {
            count = names.Count;
            foreach (int line in LinesOf(loop))
            {
                if (Move().Match(lines[line]) is { Success: true } move && names.Contains(move.Groups["to"].Value))
                    names.Add(move.Groups["from"].Value);
            }
        }

        foreach (int line in LinesOf(loop))
        {
            if (Add().Match(lines[line]) is { Success: true } add && names.Contains(add.Groups["sum"].Value))
                return Math.Abs(long.Parse(add.Groups["step"].ValueSpan, CultureInfo.InvariantCulture));
        }

        return 1;
    }

    private IEnumerable<int> LinesOf(bool[] loop) =>
        Enumerable.Range(0, loop.Length).Where(b => loop[b]).SelectMany(b => Enumerable.Range(starts[b], starts[b + 1] - starts[b]));

    // All blocks that come to the tail without the head, and the head.
    private bool[] LoopOf(int head, int tail)
    {
        var loop = new bool[successors.Count];
        loop[head] = true;
        Flood(loop, tail, block => Enumerable.Range(0, successors.Count).Where(i => successors[i].Contains(block)));
        return loop;
    }

    private bool[] Reached()
    {
        var reached = new bool[successors.Count];
        Flood(reached, 0, block => successors[block]);
        return reached;
    }

    private static void Flood(bool[] seen, int from, Func<int, IEnumerable<int>> next)
    {
        var open = new Stack<int>([from]);
        while (open.TryPop(out int block))
        {
            if (seen[block])
                continue;
            seen[block] = true;
            foreach (int neighbour in next(block))
                open.Push(neighbour);
        }
    }

    private void Cut()
    {
        int first = Array.FindIndex(lines, l => l.Contains(".entry", StringComparison.Ordinal));
        var blockOf = new Dictionary<string, int>();
        starts.Add(first);
        for (int line = first; line < lines.Length; line++)
        {
            if (Label().Match(lines[line]) is { Success: true } label)
            {
                if (line > starts[^1])
                    starts.Add(line);
                blockOf[label.Groups["name"].Value] = starts.Count - 1;
            }
            else if (Jump().IsMatch(lines[line]) && line + 1 < lines.Length)
            {
                starts.Add(line + 1);
            }
        }

        starts.Add(lines.Length);
        for (int block = 0; block + 1 < starts.Count; block++)
            successors.Add(SuccessorsOf(block, blockOf));
    }

    private int[] SuccessorsOf(int block, Dictionary<string, int> blockOf)
    {
        string last = lines[starts[block + 1] - 1];
        int[] next = block + 2 < starts.Count ? [block + 1] : [];
        if (Jump().Match(last) is not { Success: true } jump)
            return next;
        if (jump.Groups["list"].Success)
            return [.. TargetsOf(starts[blockOf[jump.Groups["list"].Value]]).Select(l => blockOf[l]).Distinct()];
        if (jump.Groups["label"].Value is not { Length: > 0 } target)
            return jump.Groups["guard"].Success ? next : [];        // the end
        return jump.Groups["guard"].Success ? [.. next.Append(blockOf[target]).Distinct()] : [blockOf[target]];
    }

    // Behind the label of a list of targets.
    private string[] TargetsOf(int label) =>
        Targets().Match(lines[label + 1]).Groups["labels"].Value.Split(',', StringSplitOptions.TrimEntries);

    // dominators[b][d]: every way from the start to b passes d.
    private bool[][] Dominators()
    {
        var found = new bool[successors.Count][];
        for (int i = 0; i < found.Length; i++)
            found[i] = [.. Enumerable.Range(0, found.Length).Select(d => i > 0 || d == 0)];
        bool changed = true;
        while (changed)
        {
            changed = false;
            for (int from = 0; from < found.Length; from++)
            {
                foreach (int to in successors[from])
                {
                    for (int d = 0; d < found.Length; d++)
                    {
                        if (found[to][d] && d != to && !found[from][d])
                            (found[to][d], changed) = (false, true);
                    }
                }
            }
        }

        return found;
    }

    [GeneratedRegex(@"^\s*(?<name>[$\w]+):")]
    private static partial Regex Label();

    [GeneratedRegex(@"^\s*(?<guard>@!?%\w+)?\s*(bra\s+(?<label>[$\w]+)|brx\.idx(\.uni)?\s+%\w+, (?<list>[$\w]+)|ret|exit)\s*;")]
    private static partial Regex Jump();

    [GeneratedRegex(@"^\s*\.branchtargets\s+(?<labels>[^;]+);")]
    private static partial Regex Targets();

    [GeneratedRegex(@"^\s*@!?(?<predicate>%\w+)\s+bra")]
    private static partial Regex Branch();

    [GeneratedRegex(@"^\s*(and|or|xor)\.pred\s+(?<result>%\w+), (?<left>%\w+), (?<right>%\w+);")]
    private static partial Regex Predicate();

    [GeneratedRegex(@"^\s*setp\.[\w.]+\.[su](32|64)\s+(?<result>%\w+), (?<left>[^,]+), ")]
    private static partial Regex Comparison();

    [GeneratedRegex(@"^\s*(mov|cvt)\.[\w.]+\s+(?<to>%\w+), (?<from>%\w+);")]
    private static partial Regex Move();

    [GeneratedRegex(@"^\s*(add|sub)\.[su](32|64)\s+(?<sum>%\w+), %\w+, (?<step>-?\d+);")]
    private static partial Regex Add();
}
