namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class DeclarationTests
{
    // Two kinds of faults at two instructions each.
    private const string Body =
        """
        st.global.b32 [%rd0+16], 1; // out of bounds
        @%p0 ld.global.b32 %r2, [%rd0+16];
        st.global.b32 [%rd0+2], 1;
        { .reg .b32 n; mov.b32 n, 1; ld.global.b32 n, [%rd0+2]; }
        """;

    [TestCase(FaultKind.OutOfBounds, "Kernel", "st.global.b32", new[] { 1, 2, 3 })]
    [TestCase(FaultKind.OutOfBounds, "Kernel", "ld.global", new[] { 0, 2, 3 })]
    [TestCase(FaultKind.Misaligned, "Kernel", "st.global.b32 [%rd0+2]", new[] { 0, 1, 3 })]
    [TestCase(FaultKind.Misaligned, "Kernel", "ld.global.b32 n,", new[] { 0, 1, 2 })]
    [TestCase(FaultKind.OutOfBounds, "Other", "st.global.b32", new[] { 0, 1, 2, 3 })]
    [TestCase(FaultKind.GlobalRace, "Kernel", "st.global.b32", new[] { 0, 1, 2, 3 })]
    [TestCase(FaultKind.OutOfBounds, "Kernel", "global.b32", new[] { 0, 1, 2, 3 })]
    [TestCase(FaultKind.OutOfBounds, "Kernel", "// out", new[] { 0, 1, 2, 3 })]
    public void SilencesWhatItNamesAndNothingElse(FaultKind kind, string kernel, string instruction, int[] left)
    {
        using var bench = new Bench(new MachineOptions { Declared = [new Declaration(kind, kernel, instruction, "on purpose")] });
        string text = Bench.Text($"setp.eq.s32 %p0, 0, 0;\n{Body}", 1);
        string[] lines = Body.Split('\n');

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Line(1, 1), bench.Upload(new uint[4]));

        Assert.That(faults.Select(f => f.Instruction), Is.EqualTo(left.Select(i => lines[i])));
    }

    // A load under a declared guard leaves any bits, which count as defined: for that kind and instruction alone.
    [TestCase(FaultKind.UndefinedValue, "ld.global.b32", true)]
    [TestCase(FaultKind.UndefinedValue, "ld.global.b64", false)]
    [TestCase(FaultKind.UnwrittenMemory, "ld.global.b32", false)]
    public void AGuardedLoadMayLeaveAnything(FaultKind kind, string instruction, bool isSilent)
    {
        using var bench = new Bench(new MachineOptions { Declared = [new Declaration(kind, "Kernel", instruction, "on purpose")] });
        string text = Bench.Text(
            "setp.lt.u32 %p1, %r0, 16;\nadd.u64 %rd11, %rd0, %rd10;\n@%p1 ld.global.b32 %r2, [%rd11];\nst.global.b32 [%rd11], %r2; // here", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Warp, bench.Upload(new uint[32]));

        Assert.That(faults.Select(f => (f.Kind, f.Line)), Is.EqualTo(isSilent ? [] : new[] { (FaultKind.UndefinedValue, Bench.MarkedLine(text)) }));
    }

    // Those bits differ with the seed, lane by lane.
    [Test]
    public void WhatAGuardedLoadLeavesDiffersWithTheSeed()
    {
        uint[][] left = [.. Enumerable.Range(0, 3).Select(seed =>
        {
            using var bench = new Bench(new MachineOptions { Seed = seed, Declared = [new Declaration(FaultKind.UndefinedValue, "Kernel", "ld.global.b32", "on purpose")] });
            nint d = bench.Upload(new uint[32]);
            bench.Launch("setp.eq.s32 %p1, %r0, 0;\nadd.u64 %rd11, %rd0, %rd10;\n@%p1 ld.global.b32 %r2, [%rd11];\nst.global.b32 [%rd11], %r2;", Bench.Warp, d);
            return bench.Download<uint>(d, 32);
        })];

        Assert.Multiple(() =>
        {
            Assert.That(left.Select(l => l[0]), Is.All.Zero);
            Assert.That(left[0][1..].Distinct().Count(), Is.GreaterThan(16));
            Assert.That(left[0][1..], Is.Not.EqualTo(left[1][1..]).And.Not.EqualTo(left[2][1..]));
        });
    }

    // Without the sanitizer only bounds and alignment are watched.
    [Test]
    public void BoundsAreCheckedAlways()
    {
        using var bench = new Bench(new MachineOptions { Sanitizes = false });
        string text = Bench.Text("st.global.b32 [%rd0], %r40;\nst.global.b32 [%rd0+16], 1;\nst.global.b32 [%rd0+2], 1;", 1);

        Assert.That(
            bench.FaultsOf(text, Bench.Warp, bench.Upload(new uint[4])).Select(f => f.Kind),
            Is.EqualTo(new[] { FaultKind.OutOfBounds, FaultKind.Misaligned }));
    }
}
