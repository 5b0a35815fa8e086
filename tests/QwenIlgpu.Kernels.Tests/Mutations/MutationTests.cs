
namespace QwenIlgpu.Kernels.Tests;

/// <summary>The tests of the hot kernels notice what is wrong with a kernel.</summary>
[NonParallelizable]
internal sealed class MutationTests
{
    private const int SampleSize = 300;
    private const int SampleSeed = 15;
    private const double LeastShare = 0.9;

    // ILGPU's text, and so what a mutant does, depends a little on what the process compiled before.
    private const int MostUnknown = 3;

    // Of a survivor: some seconds.
    private const long MostTurns = 1_000_000;

    [OneTimeSetUp]
    public void NeedsTheMachine() => Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");

    /// <summary>A group that does not wait for its other warps before it adds their sums.</summary>
    [Test]
    public void AMutantIsKilledByATestThatPassesWithoutIt()
    {
        KernelSuite suite = KernelSuite.Of([typeof(TargetLogProbsTests)])["TargetLogProbsRowKernel"];
        Mutation dropped = MutationOperators.Of(suite.Text).First(m => m.Operator == MutationOperator.Dropped);
        Mutation none = dropped with { After = dropped.Before };

        Assert.That(suite.Try(dropped, MostTurns).KilledBy, Does.Contain(nameof(TargetLogProbsTests)));
        Assert.That(suite.Try(none, MostTurns), Is.EqualTo((true, (string?)null)));
    }

    /// <summary>The limit that ends a mutant's loops lets the other kernels of its tests run, which may take longer than it does.</summary>
    [Test]
    [Category("Exhaustive")]
    public void ALongLaunchOfAnotherKernelKillsNoMutant()
    {
        KernelSuite suite = KernelSuite.Of([typeof(PrefillEpilogueTests)])["ExpandInt4Kernel"];
        Mutation any = MutationOperators.Of(suite.Text)[0];

        Assert.That(suite.Try(any with { After = any.Before }, MostTurns), Is.EqualTo((true, (string?)null)));
    }

    [Test]
    public void EveryKernelOfGroupsIsHot()
    {
        string[] types = [.. HotKernel.All.Select(k => TypeOf(k.Name)).Distinct()];

        Assert.That(
            KernelCatalogue.All.Where(k => k.Method.DeclaringType!.IsAssignableTo(typeof(IGroupKernel))).Select(k => TypeOf(k.ToString())).Distinct(),
            Is.SubsetOf(types));
        Assert.That(HotKernel.All.Select(k => k.Name), Is.SubsetOf(KernelCatalogue.All.Select(k => k.ToString())));

        static string TypeOf(string kernel) => kernel.Split('<')[0];
    }

    [Test]
    public void TheTableHasEveryKernelAndAReasonForEverySurvivor()
    {
        Assume.That(File.Exists(MutationTable.Path), "the sources are not beside the tests (published run)");
        MutationTable table = MutationTable.Read();

        Assert.That(table.Kernels.Select(k => k.Kernel), Is.EqualTo(HotKernel.All.Select(k => k.Name)));
        Assert.That(
            table.Survivors.GroupBy(s => s.Kernel).Select(k => (k.Key, k.Sum(s => s.Surviving))),
            Is.EquivalentTo(table.Kernels.Where(k => k.All > k.Killed).Select(k => (k.Kernel, k.All - k.Killed))));
        Assert.That(table.Survivors.Where(s => s.Reason == MutationTable.Unknown), Is.Empty);
        Assert.That(table.Kernels.Sum(k => k.Killed), Is.GreaterThanOrEqualTo(LeastShare * table.Kernels.Sum(k => k.All)));
    }

    /// <summary>
    /// A sample; or with <c>--test-parameter mutations=all</c> every mutant there is, of which the table is made anew, or those of the kernels
    /// whose name contains what stands there.
    /// </summary>
    [Test]
    [Category("Exhaustive")]
    public void ASampleIsKilledButForWhatTheTableHas()
    {
        string? asked = TestContext.Parameters.Get("mutations");
        (string Kernel, KernelSuite Suite, Mutation Mutation)[] mutants = Of(
            [.. HotKernel.All.Where(k => asked is null or "all" || k.Name.Contains(asked, StringComparison.Ordinal))]);
        if (asked is null)
            mutants = SampleOf(mutants);
        var results = new List<MutationResult>();
        foreach (IGrouping<string, (string Kernel, KernelSuite Suite, Mutation Mutation)> kernel in mutants.GroupBy(m => m.Kernel))
        {
            MutationResult[] tried = [.. kernel.Select(m => Tried(m.Kernel, m.Suite, m.Mutation))];
            results.AddRange(tried);
            if (asked is not null)
                Mark(kernel.First().Suite, tried);
            TestContext.Progress.WriteLine($"{kernel.Key}: {kernel.Count()} tried; of all so far {KilledOf(results)} of {results.Count} killed");
        }

        if (asked is not null)
            MutationTable.Read().With(results).Write();
        MutationTable table = MutationTable.Read();
        Assert.That(results.Where(r => r.KilledBy is null && !table.Knows(r)).ToArray(), Has.Length.LessThanOrEqualTo(MostUnknown));
        Assert.That(KilledOf(results), Is.GreaterThanOrEqualTo(LeastShare * results.Count));
    }

    private static int KilledOf(List<MutationResult> results) => results.Count(r => r.KilledBy is not null);

    // In the order of the kernels.
    private static (string Kernel, KernelSuite Suite, Mutation Mutation)[] SampleOf((string, KernelSuite, Mutation)[] all)
    {
        int[] places = [.. Enumerable.Range(0, all.Length)];
        new Random(SampleSeed).Shuffle(places);
        return [.. places.Take(SampleSize).Order().Select(i => all[i])];
    }

    private static MutationResult Tried(string kernel, KernelSuite suite, Mutation mutation)
    {
        (bool isReached, string? killedBy) = suite.Try(mutation, MostTurns);
        return new MutationResult(kernel, mutation, isReached, killedBy);
    }

    private static (string Kernel, KernelSuite Suite, Mutation Mutation)[] Of(HotKernel[] kernels)
    {
        IReadOnlyDictionary<string, KernelSuite> suites = KernelSuite.Of(kernels.SelectMany(k => k.Fixtures).Distinct());
        return [.. kernels.SelectMany(k => MutationOperators.Of(suites[k.Name].Text).Select(m => (k.Name, suites[k.Name], m)))];
    }

    // The kernel's text beside the test's output, with what became of its mutants behind each line.
    private static void Mark(KernelSuite suite, MutationResult[] results)
    {
        string[] lines = suite.Text.Split('\n');
        foreach ((_, Mutation mutation, bool isReached, string? killedBy) in results)
        {
            string end = killedBy is not null ? $"killed by {killedBy}" : isReached ? "survives" : "not reached";
            lines[mutation.Line - 1] += $"  // {end}: {mutation.Operator} {mutation.Change}";
        }

        string folder = Directory.CreateDirectory(Path.Combine(TestContext.CurrentContext.WorkDirectory, "mutations")).FullName;
        File.WriteAllLines(Path.Combine(folder, $"{string.Concat(results[0].Kernel.Where(c => char.IsAsciiLetterOrDigit(c)))}.ptx"), lines);
    }
}
