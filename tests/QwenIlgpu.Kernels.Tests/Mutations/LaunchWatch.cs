using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Notes what a test launches on the PTX machine, and where each kernel's text was come to.</summary>
internal sealed partial class LaunchWatch
{
    private static readonly ConditionalWeakTable<PtxKernel, string> Names = [];

    private readonly Dictionary<string, Seen> kernels = [];
    private PtxKernel? last;

    /// <summary>By the names that their texts tell.</summary>
    public IReadOnlyDictionary<string, Seen> Kernels => kernels;

    /// <summary>Whether something is planted in a kernel's text.</summary>
    public bool AreEdited { get; private set; }

    /// <summary>Turns of warps in all launches.</summary>
    public long Turns { get; private set; }

    /// <summary>Turns of the longest launch, of whichever kernel.</summary>
    public long LongestTurns { get; private set; }

    /// <summary><c>DecodeAttentionKernel&lt;Head128&gt;</c>: what the loader writes above the entry.</summary>
    public static string NameOf(PtxKernel kernel) => Names.GetValue(kernel, k => Described().Match(k.Text).Groups["kernel"].Value);

    public PtxKernel Launched(PtxKernel kernel)
    {
        AreEdited |= MachineDriver.Edit is not null;
        return last = kernel;
    }

    public void Counted(LaunchCounts counts, long turns)
    {
        string name = NameOf(last!);
        if (!kernels.TryGetValue(name, out Seen? seen))
            kernels.Add(name, seen = new Seen(last!.Text));
        seen.Lines.UnionWith(counts.Lines);
        LongestTurns = Math.Max(LongestTurns, turns);
        Turns += turns;
    }

    [GeneratedRegex(@"^// (?<kernel>.+)\n(// views of .*\n)?\.visible \.entry", RegexOptions.Multiline)]
    private static partial Regex Described();

    /// <summary>What was seen of a kernel: its text, and lines that some launch came to.</summary>
    internal sealed class Seen(string text)
    {
        public string Text { get; } = text;

        public HashSet<int> Lines { get; } = [];
    }
}
