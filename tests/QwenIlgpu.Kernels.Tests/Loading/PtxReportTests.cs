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

        string file = PtxReport.FilePath();
        if (onEveryArchitecture && TestContext.Parameters.Get("ptx-report") == "update")
        {
            File.WriteAllText(file, now.ToString());
            Assert.Pass($"{file} is written");
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

    private static PtxReport Report(params (string Kernel, string Architecture, PtxReportCell Cell)[] cells) =>
        new("12.4", cells.ToDictionary(c => (c.Kernel, c.Architecture), c => c.Cell));
}
