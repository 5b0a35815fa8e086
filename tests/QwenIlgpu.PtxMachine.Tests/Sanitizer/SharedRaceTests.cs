namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class SharedRaceTests
{
    // 128 words, all written and read by nobody since; %r20 is the thread's own.
    private const string Prologue =
        """
        .shared .align 16 .b8 s[512];
        mov.u32 %r19, s;
        cvt.u32.u64 %r21, %rd10;
        add.u32 %r20, %r19, %r21;
        st.shared.b32 [%r20], %r0;
        st.shared.b32 [%r20+256], %r0;
        bar.sync 0;

        """;

    // Thread t and the one 32 behind it, of the other warp.
    [TestCase("st.shared.b32 [%r20], 1; // here\n@@\nxor.b32 %r22, %r21, 128;\nadd.u32 %r22, %r19, %r22;\n" +
        "ld.shared.b32 %r2, [%r22]; // here",
        "(wrote|read)")]
    [TestCase("ld.shared.b32 %r2, [%r20]; // here\n@@\nxor.b32 %r22, %r21, 128;\nadd.u32 %r22, %r19, %r22;\n" +
        "st.shared.b32 [%r22], 1; // here",
        "(wrote|read)")]
    [TestCase("st.shared.b32 [%r20], 1; // here\n@@\nxor.b32 %r22, %r21, 128;\nadd.u32 %r22, %r19, %r22;\nst.shared.b32 [%r22], 1; // here",
        "wrote")]
    [TestCase("st.shared.b32 [%r20], 1; // here\n@@\nxor.b32 %r22, %r21, 128;\nadd.u32 %r22, %r19, %r22;\n" +
        "atom.shared.add.u32 %r2, [%r22], 1; // here",
        "wrote")]
    public void BetweenWarps(string body, string did) => Planted.Check(
        FaultKind.SharedRace, $@"^shared byte \d+: thread \d+ {did} it since the last barrier$", Prologue + body, "bar.warp.sync -1;", "bar.sync 0;",
        Bench.Line(1, 64), b => []);

    // Lockstep is no order: lanes of one warp need one too, though a warp's own is enough.
    [TestCase("st.shared.b32 [%r20], 1;\n@@\nxor.b32 %r22, %r21, 4;\nadd.u32 %r22, %r19, %r22;\nld.shared.b32 %r2, [%r22]; // here",
        "wrote")]
    [TestCase("ld.shared.b32 %r2, [%r20];\n@@\nxor.b32 %r22, %r21, 4;\nadd.u32 %r22, %r19, %r22;\nst.shared.b32 [%r22], 1; // here",
        "read")]
    [TestCase("st.shared.b32 [%r20], 1;\n@@\nxor.b32 %r22, %r21, 4;\nadd.u32 %r22, %r19, %r22;\nst.shared.b32 [%r22], 1; // here", "wrote")]
    public void WithinAWarp(string body, string did)
    {
        foreach (string order in (string[])["bar.warp.sync 0xffffffff;", "bar.sync 0;"])
        {
            Planted.Check(
                FaultKind.WarpRace, $@"^shared byte \d+: thread \d+ {did} it since the last barrier$", Prologue + body, "", order, Bench.Line(1, 64), b => []);
        }
    }

    [Test]
    public void TwoLanesWriteOneWordAtOnce() => Planted.Check(
        FaultKind.WarpRace, "thread [0-9]+ wrote it", Prologue + "setp.lt.u32 %p1, %r0, @@;\n@%p1 st.shared.b32 [%r19], 1; // here", "2", "1", Bench.Warp, b => []);

    // A third thread's read hides behind the second's: all readers count.
    [Test]
    public void OfManyReadersNoneMayBeTheWriter() => Planted.Check(
        FaultKind.SharedRace, "(read|wrote) it", Prologue + "ld.shared.b32 %r2, [%r19]; // here\n@@\nsetp.eq.s32 %p1, %r0, 32;\n@%p1 st.shared.b32 [%r19], 1; // here",
        "bar.warp.sync -1;", "bar.sync 0;", Bench.Line(1, 64), b => []);

    [Test]
    public void AnAtomicHidesNoWriteOfItsThread() => Planted.Check(
        FaultKind.SharedRace, "thread [0-9]+ (wrote|read) it",
        Prologue + "setp.eq.s32 %p1, %r0, 0;\n@%p1 st.shared.b32 [%r19], 0; // here\nbar.warp.sync -1;\n@@\natom.shared.add.u32 %r2, [%r19], 1; // here", "", "bar.sync 0;",
        Bench.Line(1, 64), b => []);

    [Test]
    public void AnAtomicHidesNoWriteOfItsThreadFromItsWarp() => Planted.Check(
        FaultKind.WarpRace, "thread 0 wrote it",
        Prologue + "setp.eq.s32 %p1, %r0, 0;\n@%p1 st.shared.b32 [%r19], 0;\n@@\natom.shared.add.u32 %r2, [%r19], 1; // here", "", "bar.warp.sync -1;",
        Bench.Warp, b => []);

    // A lane's read from before its warp's barrier is in nobody's way.
    [Test]
    public void WhoReadBeforeTheWarpsBarrierIsNoReaderBehindIt() => Planted.Check(
        FaultKind.WarpRace, "thread [0-9]+ read it",
        Prologue + "ld.shared.b32 %r2, [%r19];\n@@\nsetp.eq.s32 %p1, %r0, 0;\n@%p1 ld.shared.b32 %r2, [%r19];\n@%p1 st.shared.b32 [%r19], 1; // here", "", "bar.warp.sync -1;",
        Bench.Warp, b => []);

    // Atomics together, readers together, each its own word, and the bytes of one word are no races.
    [TestCase("atom.shared.add.u32 %r2, [%r19], 1;\natom.shared.add.u32 %r2, [%r19], 1;")]
    [TestCase("ld.shared.b32 %r2, [%r19];\nld.shared.b32 %r2, [%r20];\nld.shared.b32 %r2, [%r19+4];")]
    [TestCase("st.shared.b32 [%r20], 1;\nld.shared.b32 %r2, [%r20];\nst.shared.b32 [%r20], %r2;")]
    [TestCase("add.u32 %r22, %r19, %r0;\nst.shared.b8 [%r22], 1;")]
    public void WhatIsNoRace(string body)
    {
        for (int seed = 0; seed < 5; seed++)
            Planted.CheckPasses(new MachineOptions { Seed = seed }, Prologue + body, Bench.Line(1, 64), b => []);
    }

    // The next group has memory of its own.
    [Test]
    public void GroupsShareNothing()
    {
        for (int seed = 0; seed < 5; seed++)
            Planted.CheckPasses(new MachineOptions { Seed = seed }, Prologue + "st.shared.b32 [%r20], 1;", Bench.Line(9, 64), b => []);
    }
}
