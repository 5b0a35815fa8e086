namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class GlobalRaceTests
{
    private const string Race = @"^0x[0-9a-f]+ \(byte \d+ of the operand at parameter byte \d+\) was (written|read) by group \d+ thread \d+ and nothing orders the two$";

    // Each of three groups of two warps stores its part and takes a ticket; the last one adds up the parts of all.
    private const string Ticket =
        """
        .shared .align 4 .b8 s[4];
        mov.u32 %r20, s;
        mad.lo.s32 %r2, %r1, 64, %r0;
        mul.wide.u32 %rd11, %r2, 4;
        add.u64 %rd11, %rd0, %rd11;
        st.global.b32 [%rd11], %r0; // here
        @@
        setp.eq.s32 %p1, %r0, 0;
        @!%p1 bra $wait;
        BEFORE
        TAKE
        AFTER
        st.shared.b32 [%r20], %r3;
        $wait:
        bar.sync 1;
        ld.shared.b32 %r3, [%r20];
        setp.eq.s32 %p1, %r3, 2;
        @!%p1 ret;
        add.u64 %rd12, %rd0, %rd10;
        mov.b32 %r5, 0;
        ld.global.b32 %r4, [%rd12]; // here
        add.s32 %r5, %r5, %r4;
        ld.global.b32 %r4, [%rd12+256]; // here
        add.s32 %r5, %r5, %r4;
        ld.global.b32 %r4, [%rd12+512]; // here
        add.s32 %r5, %r5, %r4;
        add.u64 %rd12, %rd2, %rd10;
        st.global.b32 [%rd12], %r5;
        """;

    private const string Acquired = "atom.acq_rel.gpu.global.add.s32 %r3, [%rd1], 1;";
    private const string Relaxed = "atom.global.add.u32 %r3, [%rd1], 1;";
    private const string Fence = "membar.gl;";

    [TestCase("st.global.b32 [%rd11], 1; // here", "add.u64 %rd11, %rd0, 0;", "add.u64 %rd11, %rd0, %rd12;")]
    [TestCase("ld.global.b32 %r2, [%rd0+8]; // here\nst.global.b32 [%rd11], 1; // here", "add.u64 %rd11, %rd0, 8;",
        "add.u64 %rd11, %rd0, %rd12;\nadd.u64 %rd11, %rd11, 16;")]
    [TestCase("ld.global.b32 %r2, [%rd11]; // here\nred.global.add.u32 [%rd0+8], 1; // here", "add.u64 %rd11, %rd0, 8;",
        "add.u64 %rd11, %rd0, 4;")]
    [TestCase("st.global.b32 [%rd11], 1; // here\nred.global.add.u32 [%rd0+16], 1; // here", "add.u64 %rd11, %rd0, 16;",
        "add.u64 %rd11, %rd0, %rd12;")]
    public void BetweenGroups(string accesses, string fault, string twin) => Planted.Check(
        FaultKind.GlobalRace, Race, $"mul.wide.u32 %rd12, %r1, 4;\n@@\n{accesses}", fault, twin, Bench.Line(3, 1), b => [b.Upload(new uint[32])]);

    // A barrier orders the threads of a group; two lanes may not write one word at once.
    [TestCase("st.global.b32 [%rd11], 1; // here\n@@\nxor.b32 %r2, %r0, 33;\nmul.wide.u32 %rd12, %r2, 4;\n" +
        "add.u64 %rd12, %rd0, %rd12;\nld.global.b32 %r3, [%rd12]; // here")]
    [TestCase("ld.global.b32 %r3, [%rd11]; // here\n@@\nxor.b32 %r2, %r0, 33;\nmul.wide.u32 %rd12, %r2, 4;\n" +
        "add.u64 %rd12, %rd0, %rd12;\nst.global.b32 [%rd12], 1; // here")]
    public void BetweenThreadsOfAGroup(string accesses) => Planted.Check(
        FaultKind.GlobalRace, Race, $"add.u64 %rd11, %rd0, %rd10;\n{accesses}", "bar.warp.sync -1;", "bar.sync 0;", Bench.Line(1, 64), b => [b.Upload(new uint[64])]);

    [Test]
    public void BetweenLanes() => Planted.Check(
        FaultKind.GlobalRace, Race, "@@\n@%p1 st.global.b32 [%rd0], 1; // here", "setp.lt.u32 %p1, %r0, 2;", "setp.lt.u32 %p1, %r0, 1;", Bench.Warp,
        b => [b.Upload(new uint[4])]);

    // All threads read, and the last one writes; a plain write and then an atomic of the same thread.
    [TestCase("ld.global.b32 %r2, [%rd0]; // here\n@@\nsetp.eq.s32 %p1, %r0, 63;\n@%p1 st.global.b32 [%rd0], 1; // here")]
    [TestCase("setp.eq.s32 %p1, %r0, 0;\n@%p1 st.global.b32 [%rd0], 1; // here\n@@\nred.global.add.u32 [%rd0], 1; // here")]
    public void NoAccessHidesAnother(string accesses) =>
        Planted.Check(FaultKind.GlobalRace, Race, accesses, "", "bar.sync 0;", Bench.Line(1, 64), b => [b.Upload(new uint[4])]);

    // The ticket orders what came before the barrier that its thread had passed: without that barrier only the thread's own.
    [TestCase("", Acquired, "")]
    [TestCase(Fence, Relaxed, Fence)]
    public void ATicketNeedsABarrierBefore(string before, string take, string after) =>
        Planted.Check(FaultKind.GlobalRace, Race, WithTicket(before, take, after), "", "bar.sync 0;", Bench.Line(3, 64), Parts);

    // A relaxed ticket orders nothing without fences on both sides.
    [TestCase("", "")]
    [TestCase(Fence, "")]
    [TestCase("", Fence)]
    public void ATicketNeedsAnOrder(string before, string after)
    {
        string relaxed = WithTicket(before, Relaxed, after).Replace(Planted.Place, "bar.sync 0;", StringComparison.Ordinal);
        string ordered = WithTicket("", Acquired, "").Replace(Planted.Place, "bar.sync 0;", StringComparison.Ordinal);
        Planted.Check(FaultKind.GlobalRace, Race, Planted.Place, relaxed, ordered, Bench.Line(3, 64), Parts);
    }

    // One group writes and raises a flag, another waits for it.
    [TestCase("st.release.gpu.global.b32 [%rd1], 1;", "ld.acquire.gpu.global.b32 %r2, [%rd1];", true)]
    [TestCase("membar.gl;\natom.global.exch.b32 %r2, [%rd1], 1;", "ld.relaxed.gpu.global.b32 %r2, [%rd1];\nmembar.gl;", true)]
    [TestCase("atom.global.exch.b32 %r2, [%rd1], 1;", "ld.acquire.gpu.global.b32 %r2, [%rd1];", false)]
    [TestCase("st.release.gpu.global.b32 [%rd1], 1;", "ld.relaxed.gpu.global.b32 %r2, [%rd1];", false)]
    public void AFlagIsReleasedAndAcquired(string raise, string wait, bool isOrdered)
    {
        string Body(string set, string get) =>
            $"setp.eq.s32 %p1, %r1, 1;\n@%p1 bra $wait;\nst.global.b32 [%rd0], 7;\n{set}\nret;\n$wait:\n{get}\nsetp.eq.s32 %p1, %r2, 0;\n@%p1 bra $wait;\n" +
            "ld.global.b32 %r3, [%rd0]; // here\nst.global.b32 [%rd2], %r3;";
        const string Set = "st.release.gpu.global.b32 [%rd1], 1;";
        const string Get = "ld.acquire.gpu.global.b32 %r2, [%rd1];";
        for (int seed = 0; seed < 5; seed++)
        {
            if (isOrdered)
                Planted.CheckPasses(new MachineOptions { Seed = seed }, Body(raise, wait), Bench.Line(2, 1), Words);
        }

        if (!isOrdered)
            Planted.Check(FaultKind.GlobalRace, Race, Planted.Place, Body(raise, wait), Body(Set, Get), Bench.Line(2, 1), Words);
    }

    // Atomics together are none, nor what only readers touch, nor what two launches do.
    [TestCase("red.global.add.u32 [%rd0], 1;\natom.global.max.s32 %r2, [%rd0], %r0;")]
    [TestCase("ld.global.b32 %r2, [%rd0];\nld.global.b32 %r3, [%rd0+4];")]
    [TestCase("mad.lo.s32 %r2, %r1, 64, %r0;\ncvt.u64.u32 %rd11, %r2;\nadd.u64 %rd11, %rd0, %rd11;\nst.global.b8 [%rd11], 1;")]
    public void WhatIsNoRace(string body)
    {
        for (int seed = 0; seed < 5; seed++)
            Planted.CheckPasses(new MachineOptions { Seed = seed, Threads = 1 + (seed % 2) }, body, Bench.Line(3, 64), b => [b.Upload(new uint[64])]);
    }

    [Test]
    public void LaunchesComeOneAfterAnother([Range(0, 4)] int seed)
    {
        using var bench = new Bench(new MachineOptions { Seed = seed });
        nint d = bench.Upload(new uint[4]);
        string text = Bench.Text("mul.wide.u32 %rd11, %r1, 4;\nadd.u64 %rd11, %rd0, %rd11;\nst.global.b32 [%rd11], 1;", 1);
        string turned = Bench.Text("sub.s32 %r2, 3, %r1;\nmul.wide.u32 %rd11, %r2, 4;\nadd.u64 %rd11, %rd0, %rd11;\nld.global.b32 %r3, [%rd11];\nst.global.b32 [%rd11], 2;", 1);

        Assert.Multiple(() =>
        {
            Assert.That(bench.FaultsOf(text, Bench.Line(4, 1), d), Is.Empty);
            Assert.That(bench.FaultsOf(turned, Bench.Line(4, 1), d), Is.Empty);
        });
    }

    private static string WithTicket(string before, string take, string after) => Ticket
        .Replace("BEFORE", before, StringComparison.Ordinal).Replace("TAKE", take, StringComparison.Ordinal).Replace("AFTER", after, StringComparison.Ordinal);

    private static nint[] Parts(Bench bench) => [bench.Upload(new uint[192]), bench.Upload(0u), bench.Allocate<uint>(64)];

    private static nint[] Words(Bench bench) => [bench.Upload(0u), bench.Upload(0u), bench.Upload(0u)];
}
