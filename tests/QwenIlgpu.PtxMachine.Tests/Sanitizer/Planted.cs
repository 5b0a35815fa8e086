using System.Text.RegularExpressions;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>A kernel with a planted fault, and its twin that differs in one place only and must pass.</summary>
internal static partial class Planted
{
    /// <summary>Where a body gets the fault or what the twin has in its place.</summary>
    public const string Place = "@@";

    private const int Seeds = 5;

    /// <summary>Runs both, in the orders of five seeds.</summary>
    /// <param name="kind">The only kind that may be reported, and must be.</param>
    /// <param name="message">A pattern of the message.</param>
    /// <param name="body">With <see cref="Place"/> in it.</param>
    /// <param name="fault">Marked with <see cref="Bench.Mark"/>, unless the body is: faults name marked lines only.</param>
    /// <param name="twin">What is right in its place.</param>
    /// <param name="shape">The grid.</param>
    /// <param name="memory">The arguments, made anew for each launch.</param>
    /// <param name="views">Of the operands; none: whole allocations.</param>
    public static void Check(
        FaultKind kind, string message, string body, string fault, string twin, GridShape shape, Func<Bench, nint[]> memory, string views = "")
    {
        Assert.That(fault, Is.Not.EqualTo(twin));
        for (int seed = 0; seed < Seeds; seed++)
        {
            for (int threads = 1; threads <= Math.Min(2, shape.Groups); threads++)
            {
                var options = new MachineOptions { Seed = seed, Threads = threads };
                CheckFault(options, kind, message, body.Replace(Place, fault, StringComparison.Ordinal), shape, memory, views);
                CheckPasses(options, body.Replace(Place, twin, StringComparison.Ordinal), shape, memory, views);
            }
        }
    }

    public static void CheckPasses(MachineOptions options, string body, GridShape shape, Func<Bench, nint[]> memory, string views = "")
    {
        using var bench = new Bench(options);
        nint[] arguments = memory(bench);
        Assert.That(bench.FaultsOf(Bench.Text(body, arguments.Length, views), shape, arguments), Is.Empty, $"the twin, seed {options.Seed}");
    }

    private static void CheckFault(
        MachineOptions options, FaultKind kind, string message, string body, GridShape shape, Func<Bench, nint[]> memory, string views)
    {
        using var bench = new Bench(options);
        nint[] arguments = memory(bench);
        string text = Bench.Text(body, arguments.Length, views);
        string[] lines = text.Split('\n');
        string what = $"seed {options.Seed}, threads {options.Threads}";

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, shape, arguments);

        Assert.That(faults, Is.Not.Empty, what);
        foreach (Fault fault in faults)
        {
            Assert.That(fault.Kind, Is.EqualTo(kind), $"{what}: {fault}");
            Assert.That(fault.Kernel, Is.EqualTo("Kernel"));
            Assert.That(lines[fault.Line - 1], Does.Contain(Bench.Mark), $"{what}: {fault}");
            Assert.That(fault.Instruction, Is.EqualTo(lines[fault.Line - 1].Trim()));
            Assert.That(fault.Message, Does.Match(message), what);
            Assert.That(fault.Thread, Does.Match(ThreadPattern()), what);
        }
    }

    [GeneratedRegex(@"^group \(\d+, 0, 0\) thread \(\d+, 0, 0\)$")]
    private static partial Regex ThreadPattern();
}
