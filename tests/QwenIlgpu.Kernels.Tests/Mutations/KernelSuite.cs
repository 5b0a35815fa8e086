using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;
using NUnit.Framework.Internal.Builders;
using NUnit.Framework.Internal.Execution;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The quick tests of some fixtures that launch one kernel on the PTX machine, short ones first, to be run with another text in the
/// kernel's place.
/// </summary>
internal sealed class KernelSuite
{
    // Turns of warps in a test that comes last.
    private const long LongTurns = 25_000;

    private readonly string kernel;
    private readonly KernelRun[] runs;
    private readonly long mostTurns;

    private KernelSuite(string kernel, string text, IEnumerable<KernelRun> runs)
    {
        this.kernel = kernel;
        Text = text;
        this.runs = [.. InTurn(runs)];
        mostTurns = 1000 + (3 * this.runs.Max(r => r.LongestTurns));
    }

    /// <summary>The kernel's text.</summary>
    public string Text { get; }

    /// <summary>Runs the quick tests of fixtures as they are, and tells which of them launch which kernel.</summary>
    public static IReadOnlyDictionary<string, KernelSuite> Of(IEnumerable<Type> fixtures)
    {
        var texts = new Dictionary<string, string>();
        var runs = new Dictionary<string, List<KernelRun>>();
        foreach (TestMethod test in fixtures.SelectMany(f => TestsOf(new DefaultSuiteBuilder().BuildFrom(new TypeWrapper(f)))))
        {
            var launches = new LaunchWatch();
            TestResult result = MachineDevice.Watched(launches.Launched, launches.Counted, () => Run(test));
            if (result.ResultState.Status != TestStatus.Passed || launches.AreEdited)
                continue;
            foreach ((string kernel, LaunchWatch.Seen seen) in launches.Kernels)
            {
                bool isKnown = texts.TryAdd(kernel, seen.Text) || texts[kernel] == seen.Text;
                if (!runs.TryGetValue(kernel, out List<KernelRun>? list))
                    runs.Add(kernel, list = []);
                list.Add(new KernelRun(test, launches.Turns, isKnown ? seen.Lines : null, launches.LongestTurns));
            }
        }

        return runs.ToDictionary(r => r.Key, r => new KernelSuite(r.Key, texts[r.Key], r.Value));
    }

    /// <summary>
    /// Whether some test comes to the line, and the first that fails with the mutation, and why. Tests are tried up to so many turns of warps in all,
    /// one at least.
    /// </summary>
    public (bool IsReached, string? KilledBy) Try(Mutation mutation, long most)
    {
        PtxKernel mutant = PtxModule.Parse(mutation.In(Text.Split('\n'))).Kernels.Values.Single();
        KernelRun[] reaching = [.. runs.Where(r => r.Lines?.Contains(mutation.Line) ?? true)];
        long spent = 0;
        foreach (KernelRun run in reaching.TakeWhile(_ => spent < most))
        {
            spent += run.Cost;
            TestResult result = MachineDevice.Instead(k => LaunchWatch.NameOf(k) == kernel ? mutant : k, mostTurns, () => Run(run.Test));
            if (result.ResultState.Status == TestStatus.Failed)
                return (true, $"{run.Test.FullName} ({result.Message.ReplaceLineEndings(" ").Trim()})");
        }

        return (reaching.Length > 0, null);
    }

    // The shortest case of each method, then the second of each: what one method does not notice another may. Then the long ones.
    private static IEnumerable<KernelRun> InTurn(IEnumerable<KernelRun> runs) => runs
        .GroupBy(r => r.Test.Method.MethodInfo)
        .SelectMany(m => m.OrderBy(r => r.Cost).Select((r, i) => (Run: r, Turn: i)))
        .OrderBy(r => r.Run.Cost > LongTurns).ThenBy(r => r.Turn).ThenBy(r => r.Run.Cost)
        .Select(r => r.Run);

    // In an environment of its own: what fails there is no failure of the test that asks.
    private static TestResult Run(TestMethod test)
    {
        using (new TestExecutionContext.IsolatedContext())
        {
            var fixture = (TestFixture)FixtureOf(test);
            using WorkItem work = WorkItemBuilder.CreateWorkItem(test, TestFilter.Empty, recursive: true)!;
            work.InitializeContext(new TestExecutionContext
            {
                Dispatcher = new SimpleWorkItemDispatcher(),
                TestObject = Reflect.Construct(fixture.TypeInfo!.Type, fixture.Arguments),
            });
            work.Execute();
            work.WaitForCompletion();
            return work.Result;
        }
    }

    private static ITest FixtureOf(ITest test) => test is TestFixture ? test : FixtureOf(test.Parent!);

    private static IEnumerable<TestMethod> TestsOf(ITest test) =>
        IsLeftOut(test) ? [] : test is TestMethod method ? [method] : test.Tests.SelectMany(TestsOf);

    // Exhaustive, another schedule, or nowhere near the machine.
    private static bool IsLeftOut(ITest test) =>
        test.RunState != RunState.Runnable || test.Properties[PropertyNames.Category].Contains("Exhaustive") ||
        test.Properties.ContainsKey(MachineSchedule.Property) ||
        (test.Arguments ?? []).Any(a => a is "cpu" or "portable" or "shares" or "ptx" or PortableTier.Loops or PortableTier.Shares);

    private sealed record KernelRun(TestMethod Test, long Cost, IReadOnlySet<int>? Lines, long LongestTurns);
}
