using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>NVIDIA's assembler accepts every kernel on every architecture, and none takes more of a GPU than it used to.</summary>
[NonParallelizable]
internal sealed class PtxReportTests
{
    [TestCase(false)]
    [TestCase(true, Category = "Exhaustive")]
    public void EveryKernelAssemblesAndTakesNoMoreThanTheTableSays(bool onEveryArchitecture)
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        CudaArchitecture[] architectures = onEveryArchitecture ? PtxBuild.Architectures : [PtxBuild.Newest];
        PtxReport now = PtxReport.Measure(ptxas, architectures, out IReadOnlyList<string> refused);
        Assert.That(refused, Is.Empty);

        string file = PtxReport.FilePath;
        if (onEveryArchitecture && TestContext.Parameters.Get("ptx-report") == "update")
        {
            IReadOnlyDictionary<string, PtxTrafficCells> traffic = PtxReport.Parse(File.ReadAllText(file)).Traffic;
            File.WriteAllText(file, now.With(traffic).ToString());
            TestContext.Out.WriteLine($"{file} is written");
            return;
        }

        Assume.That(File.Exists(file), "the sources are not beside the tests (published run)");
        PtxReport table = PtxReport.Parse(File.ReadAllText(file));
        Assume.That(ptxas.Release, Is.EqualTo(table.Release), "another release of the assembler gives out registers in another way");
        IReadOnlyList<string> complaints = table.Only(architectures).Compare(now);
        Assert.That(complaints, Is.Empty, () => PtxReport.Explain(complaints));
    }

    [Test]
    public void SurvivesItsOwnText()
    {
        PtxReport report = Report(
            ("A<B, C>", "sm_80", new(128, 40, 0, 0, 75)), ("A<B, C>", "sm_90", new(128, 42, 16, 2048, 69)), ("D", "sm_90", new(64, 8, 0, 0, 100)));

        PtxReport parsed = PtxReport.Parse(report.ToString());

        Assert.That(parsed.Release, Is.EqualTo("12.4"));
        Assert.That(parsed.Cells, Is.EquivalentTo(report.Cells));
    }

    [Test]
    public void KeepsTheTrafficOfTheMachine()
    {
        PtxReport report = Report(("A", "sm_80", new(128, 40, 0, 0, 75)), ("B", "sm_80", new(128, 42, 16, 2048, 69)), ("C", "sm_80", new(64, 8, 0, 0, 100)))
            .With([new("A", Cells(90, 10, 25, 20, 8, 2)), new("B", Cells(90, 10, 20, 20, 0, 0))]);

        PtxReport parsed = PtxReport.Parse(report.ToString());

        Assert.That(parsed.Cells, Is.EquivalentTo(report.Cells));
        Assert.That(parsed.Traffic, Is.EquivalentTo(report.Traffic));
        Assert.That(report.ToString(), Does.Contain(" | 1.25 | 0.25 |").And.Contain(" | 1.00 | — |").And.Contain(" | — | — |"));
        Assert.That(parsed.Only([new CudaArchitecture(8, 0)]).Traffic, Is.EquivalentTo(report.Traffic));
    }

    [Test]
    public void ReadsATableWithoutTraffic()
    {
        const string Older = "with ptxas 12.4 from\n| kernel | threads | sm_80 | sm_90 |\n|---|--:|---|---|\n| `A` | 64 | — | 8 · 0 · 0 · 100 % |\n";

        PtxReport parsed = PtxReport.Parse(Older);

        Assert.That(parsed.Cells, Has.Count.EqualTo(1));
        Assert.That(parsed.Traffic, Is.Empty);
        Assert.That(parsed.ToString(), Does.Contain("| `A` | 64 | 8 · 0 · 0 · 100 % | — | — |"));
    }

    [TestCase(125, 25, null)]
    [TestCase(127, 27, null)]
    [TestCase(128, 25, "K: 1.28 sectors of a minimal one, the table says 1.25")]
    [TestCase(122, 25, "K: 1.22 sectors of a minimal one, the table says 1.25")]
    [TestCase(125, 28, "K: 0.28 bank conflicts a request, the table says 0.25")]
    public void ComplainsOfTraffic(int sectors, int conflicts, string? complaint)
    {
        PtxReport table = Report(("K", "sm_80", new(128, 40, 0, 0, 75))).With([new("K", Cells(9, 9, 125, 100, 100, 25))]);

        Assert.That(table.CompareTraffic("K", Cells(9, 9, sectors, 100, 100, conflicts)), Is.EqualTo(complaint));
        Assert.That(table.CompareTraffic("L", Cells(9, 9, 1, 1, 0, 0)), Is.EqualTo("L: no traffic in the table (1.00 | —)"));
    }

    [Test]
    public void ComplainsOfSharedMemoryThatIsNewOrGone()
    {
        PtxReport table = Report(("K", "sm_80", new(128, 40, 0, 0, 75))).With([new("K", Cells(9, 9, 1, 1, 4, 0))]);

        Assert.That(
            table.CompareTraffic("K", Cells(9, 9, 1, 1, 0, 0)), Is.EqualTo("K: — bank conflicts a request, the table says 0.00"));
    }

    [TestCase(40, 46, false)]
    [TestCase(40, 47, true)]
    [TestCase(100, 108, false)]
    [TestCase(100, 109, true)]
    [TestCase(40, 20, false)]
    public void ComplainsOfRegisters(int before, int after, bool complains)
    {
        IReadOnlyList<string> complaints = Report(("K", "sm_80", new(128, before, 0, 0, 50)))
            .Compare(Report(("K", "sm_80", new(128, after, 0, 0, 50))));

        Assert.That(complaints, complains ? Is.EqualTo(new[] { $"K on sm_80: {after} registers, the table says {before}" }) : Is.Empty);
    }

    [Test]
    public void ComplainsOfSpillsAndOfWhatIsNewOrGone()
    {
        PtxReport table = Report(("K", "sm_80", new(128, 40, 0, 0, 50)), ("Old", "sm_80", new(128, 40, 0, 0, 50)));
        PtxReport now = Report(("K", "sm_80", new(128, 40, 8, 0, 50)), ("New", "sm_80", new(128, 40, 0, 0, 50)));

        IReadOnlyList<string> complaints = table.Compare(now);

        Assert.That(complaints, Is.EqualTo(new[]
        {
            "K on sm_80: 8 bytes of stack and spills, the table says 0",
            "New on sm_80: not in the table (40 · 0 · 0 · 50 %)",
            "Old on sm_80: in the table but gone",
        }));
        Assert.That(PtxReport.Explain(complaints), Does.StartWith(complaints[0]).And.Contain("ptx-report=update"));
    }

    // By NVIDIA's occupancy calculator.
    [TestCase(8, 0, 32, 0, 128, 100)]
    [TestCase(8, 0, 64, 0, 128, 50)]
    [TestCase(8, 0, 65, 0, 128, 44)]
    [TestCase(8, 0, 255, 0, 128, 13)]
    [TestCase(8, 0, 32, 40960, 256, 50)]
    [TestCase(8, 6, 32, 0, 64, 67)]
    [TestCase(8, 6, 40, 0, 128, 100)]
    [TestCase(8, 9, 32, 0, 64, 100)]
    [TestCase(8, 9, 128, 51200, 256, 17)]
    [TestCase(9, 0, 168, 0, 384, 19)]
    [TestCase(9, 0, 32, 233472, 128, 0)]
    public void OccupancyFollowsTheLimits(int major, int minor, int registers, int sharedBytes, int threads, int percent) => Assert.That(
        Occupancy.Of(new CudaArchitecture(major, minor)).Percent(registers, sharedBytes, threads), Is.EqualTo(percent));

    [Test]
    public void ARefusedTextTellsTheAssemblersMessage()
    {
        Ptxas ptxas = Ptxas.FindOrSkip();
        const string Nonsense = ".version 8.4\n.target sm_80\n.address_size 64\n.visible .entry K() { nonsense; }\n";

        Assert.That(
            () => ptxas.Assemble(Nonsense, new CudaArchitecture(8, 0)),
            Throws.InvalidOperationException.With.Message.Contains("nonsense").Or.Message.Contains("error"));
    }

    private static PtxTrafficCells Cells(
        long instructions, long requests, long sectors, long minimal, long sharedRequests, long conflicts) =>
        PtxTrafficCells.Of(new PtxTraffic(instructions, requests, sectors, minimal, sharedRequests, conflicts));

    private static PtxReport Report(params (string Kernel, string Architecture, PtxReportCell Cell)[] cells) =>
        new("12.4", cells.ToDictionary(c => (c.Kernel, c.Architecture), c => c.Cell));
}
