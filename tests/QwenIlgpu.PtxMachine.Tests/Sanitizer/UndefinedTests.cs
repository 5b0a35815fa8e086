namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class UndefinedTests
{
    private const string Undefined = "depends on a register that nothing wrote$";

    private const string Prologue =
        ".shared .align 16 .b8 s[512];\nmov.u32 %r20, s;\nst.shared.b32 [%r20], 1;\nsetp.eq.s32 %p1, 0, 0;\nmov.b32 %r3, 0;\nadd.u64 %rd11, %rd0, 0;\n";

    // %r40, %rd20 and %p15 nothing writes; and with 0 keeps the addresses where they are.
    [TestCase("st.global.b32 [%rd0], %r40; // here", "st.global.b32 [%rd0], %r3;", "what is stored")]
    [TestCase("add.s32 %r2, %r40, 1;\nmul.lo.s32 %r2, %r2, 3;\ncvt.u64.u32 %rd2, %r2;\nst.global.b64 [%rd0], %rd2; // here",
        "add.s32 %r2, %r3, 1;\nmul.lo.s32 %r2, %r2, 3;\ncvt.u64.u32 %rd2, %r2;\nst.global.b64 [%rd0], %rd2;", "what is stored")]
    [TestCase("st.global.v2.b32 [%rd0], {%r3, %r40}; // here", "st.global.v2.b32 [%rd0], {%r3, %r3};", "what is stored")]
    [TestCase("st.shared.b32 [%r20], %r40; // here", "st.shared.b32 [%r20], %r3;", "what is stored")]
    [TestCase("and.b64 %rd12, %rd20, 0;\nadd.u64 %rd11, %rd11, %rd12;\nld.global.b32 %r2, [%rd11]; // here", "ld.global.b32 %r2, [%rd11];",
        "the address")]
    [TestCase("and.b32 %r2, %r40, 0;\ncvt.u64.u32 %rd2, %r2;\nadd.u64 %rd11, %rd11, %rd2;\nst.global.b32 [%rd11], 1; // here",
        "and.b32 %r2, %r3, 0;\ncvt.u64.u32 %rd2, %r2;\nadd.u64 %rd11, %rd11, %rd2;\nst.global.b32 [%rd11], 1;", "the address")]
    [TestCase("and.b32 %r2, %r40, 0;\nadd.u32 %r20, %r20, %r2;\nld.shared.b32 %r2, [%r20]; // here", "ld.shared.b32 %r2, [%r20];",
        "the address")]
    [TestCase("setp.lt.s32 %p2, %r40, 5;\n@%p2 bra $end; // here\n$end:", "setp.lt.s32 %p2, %r3, 5;\n@%p2 bra $end;\n$end:",
        "what the branch depends on")]
    [TestCase("and.b32 %r2, %r40, 0;\n$list: .branchtargets $end, $end;\nbrx.idx.uni %r2, $list; // here\n$end:",
        "and.b32 %r2, %r3, 0;\n$list: .branchtargets $end, $end;\nbrx.idx.uni %r2, $list;\n$end:", "what the branch depends on")]
    [TestCase("@%p15 mov.b32 %r2, 1; // here", "@%p1 mov.b32 %r2, 1;", "the guard")]
    [TestCase("vote.sync.ballot.b32 %r2, %p15, 1; // here", "vote.sync.ballot.b32 %r2, %p1, 1;", "the vote")]
    [TestCase("shfl.sync.idx.b32 %r2, %r3, %r40, 31, 1; // here", "shfl.sync.idx.b32 %r2, %r3, %r3, 31, 1;", "the lane")]
    [TestCase("red.global.add.u32 [%rd0], %r40; // here", "red.global.add.u32 [%rd0], %r3;", "the operand")]
    [TestCase("atom.global.cas.b32 %r2, [%rd0], 1, %r40; // here", "atom.global.cas.b32 %r2, [%rd0], 1, %r3;", "the operand")]
    [TestCase("and.b32 %r2, %r40, 0;\ncp.async.cg.shared.global [%r20], [%rd0], 16, %r2; // here",
        "and.b32 %r2, %r3, 0;\ncp.async.cg.shared.global [%r20], [%rd0], 16, %r2;", "the source's size")]
    [TestCase("and.b32 %r2, %r40, 0;\nadd.u32 %r20, %r20, %r2;\ncp.async.cg.shared.global [%r20], [%rd0], 16; // here",
        "cp.async.cg.shared.global [%r20], [%rd0], 16;", "the shared address")]
    [TestCase("and.b64 %rd12, %rd20, 0;\nadd.u64 %rd11, %rd11, %rd12;\ncp.async.cg.shared.global [%r20], [%rd11], 16; // here",
        "cp.async.cg.shared.global [%r20], [%rd11], 16;", "the global address")]
    public void ARegisterThatNothingWrote(string fault, string twin, string operand) => Planted.Check(
        FaultKind.UndefinedValue, $"^{operand} {Undefined}", $"{Prologue}@@", fault, twin, Bench.Line(1, 1), b => [b.Upload(new uint[32])]);

    // Only lane 5 goes without.
    [Test]
    public void OneLaneOfARegister()
    {
        using var bench = new Bench();
        string text = Bench.Text("setp.ne.s32 %p1, %r0, 5;\n@%p1 mov.b32 %r2, 1;\nadd.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2; // here", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Warp, bench.Upload(new uint[32]));

        Assert.That(faults.Select(f => (f.Kind, f.Line, f.Thread)), Is.EqualTo(
            new[] { (FaultKind.UndefinedValue, Bench.MarkedLine(text), "group (0, 0, 0) thread (5, 0, 0)") }));
    }

    // A shuffle brings the undefined lane to its neighbour; the element of a matrix to its row and column.
    [TestCase("shfl.sync.bfly.b32 %r2, %r3, 1, 31, -1;\nst.global.b32 [%rd11], %r2; // here", new[] { 4 })]
    [TestCase("shfl.sync.idx.b32 %r2, %r3, 4, 31, -1;\nst.global.b32 [%rd11], %r2;", new int[0])]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r3, %r4, %r4, %r4}, {%r4, %r4}, {%f4, %f4, %f4, %f4};\n" +
        "st.global.b32 [%rd11], %f0; // here", new[] { 4 })]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r3, %r4, %r4, %r4}, {%r4, %r4}, {%f4, %f4, %f4, %f4};\n" +
        "st.global.b32 [%rd11], %f2;", new int[0])]
    public void LanesPassOnWhatIsUndefined(string instructions, int[] first)
    {
        using var bench = new Bench();
        string text = Bench.Text(
            $"mov.b32 %r4, 0;\nmov.f32 %f4, 0f00000000;\nsetp.ne.s32 %p1, %r0, 5;\n@%p1 mov.b32 %r3, 0;\nadd.u64 %rd11, %rd0, %rd10;\n{instructions}", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Warp, bench.Upload(new uint[32]));

        Assert.That(faults.Select(f => (f.Kind, f.Line, f.Thread)), Is.EqualTo(
            first.Select(lane => (FaultKind.UndefinedValue, Bench.MarkedLine(text), $"group (0, 0, 0) thread ({lane}, 0, 0)"))));
    }

    // Of 32 words the first 16 are written. What comes from the others may be loaded, but nothing may depend on it.
    [TestCase("st.global.b32 [%rd1], %r2; // here", "what is stored")]
    [TestCase("add.s32 %r2, %r2, 1;\nst.global.b32 [%rd1], %r2; // here", "what is stored")]
    [TestCase("setp.eq.s32 %p1, %r2, 7;\n@%p1 bra $end; // here\n$end:", "what the branch depends on")]
    [TestCase("and.b32 %r2, %r2, 0;\ncvt.u64.u32 %rd2, %r2;\nadd.u64 %rd2, %rd1, %rd2;\nld.global.b32 %r3, [%rd2]; // here", "the address")]
    [TestCase("red.global.add.u32 [%rd1], %r2; // here", "the operand")]
    [TestCase("st.shared.b32 [%r20], %r2;\nld.shared.b32 %r3, [%r20];\nst.global.b32 [%rd1], %r3; // here", "what is stored")]
    public void MemoryThatNothingWrote(string use, string operand) => Planted.Check(
        FaultKind.UnwrittenMemory, $"^{operand} depends on what nothing wrote; last so read: (4 bytes at 0x[0-9a-f]+ \\(byte 64 of the operand at parameter byte 0\\)|shared byte 0), at line \\d+$",
        $".shared .align 4 .b8 s[4];\nmov.u32 %r20, s;\n@@\n{use}", "ld.global.b32 %r2, [%rd0+64];", "ld.global.b32 %r2, [%rd0+60];", Bench.Line(1, 1),
        b => [b.AllocateWritten(128, 64), b.Upload(new uint[4])]);

    // Half a written word is none; of a vector each element counts for itself.
    [TestCase("ld.global.b32 %r2, [%rd0+8];\nst.global.b32 [%rd1], %r2; // here",
        "ld.global.b16 %h0, [%rd0+8];\nst.global.b16 [%rd1], %h0;", 4, 8)]
    [TestCase("ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0];\nst.global.b32 [%rd1], %r4; // here",
        "ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0];\nst.global.b32 [%rd1], %r3;", 4, 1)]
    [TestCase("ld.global.b64 %rd2, [%rd0+8];\nst.global.b64 [%rd1], %rd2; // here",
        "ld.global.b64 %rd2, [%rd0];\nst.global.b64 [%rd1], %rd2;", 8, 8)]
    [TestCase("atom.global.add.u32 %r2, [%rd0+12], 1;\nst.global.b32 [%rd1], %r2; // here",
        "atom.global.add.u32 %r2, [%rd0+4], 1;\nst.global.b32 [%rd1], %r2;", 4, 12)]
    public void PartsOfWhatIsLoaded(string fault, string twin, int bytes, int unused) => Planted.Check(
        FaultKind.UnwrittenMemory, $@"what is stored depends on what nothing wrote; last so read: {bytes} bytes at 0x", "@@", fault, twin, Bench.Line(1, 1),
        b => [b.AllocateWritten(16, 10), b.Upload(new ulong[4])]);

    [Test]
    public void UnwrittenMemoryMayBeDiscarded() => Planted.Check(
        FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote",
        "add.u64 %rd11, %rd0, %rd10;\nadd.u64 %rd12, %rd1, %rd10;\nld.global.b32 %r2, [%rd11];\n@@\nselp.b32 %r2, %r2, 0, %p1;\nst.global.b32 [%rd12], %r2; // here",
        "setp.lt.u32 %p1, %r0, 17;", "setp.lt.u32 %p1, %r0, 16;", Bench.Warp, b => [b.AllocateWritten(128, 64), b.Upload(new uint[32])]);

    // What the kernel itself wrote is written; and so is shared memory, until the next group has it.
    [TestCase("", "st.global.b32 [%rd0+64], 7;", "ld.global.b32 %r2, [%rd0+64];")]
    [TestCase("", "st.shared.b32 [%r20+4], 7;", "ld.shared.b32 %r2, [%r20+4];")]
    [TestCase("st.shared.b16 [%r20+4], 7;", "st.shared.b32 [%r20+4], 7;", "ld.shared.b32 %r2, [%r20+4];")]
    public void WhatTheKernelWroteIsWritten(string fault, string twin, string load) => Planted.Check(
        FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote; last so read: (4 bytes at 0x|shared byte 4)",
        $".shared .align 4 .b8 s[8];\nmov.u32 %r20, s;\n@@\n{load}\nmul.wide.u32 %rd11, %r1, 4;\nadd.u64 %rd11, %rd1, %rd11;\nst.global.b32 [%rd11], %r2; // here", fault,
        twin, load.Contains("shared", StringComparison.Ordinal) ? Bench.Line(4, 1) : Bench.Line(1, 1), b => [b.AllocateWritten(128, 64), b.Upload(new uint[4])]);

    [Test]
    public void ARowOfAMatrixThatNothingWrote() => Planted.Check(
        FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote; last so read: shared byte 60",
        ".shared .align 16 .b8 s[128];\nmov.u32 %r20, s;\nshl.b32 %r21, %r0, 4;\nadd.u32 %r20, %r20, %r21;\n@@\n" +
        "@%p1 st.shared.v4.b32 [%r20], {1, 2, 3, 4};\nbar.warp.sync -1;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r20];\n" +
        "add.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2; // here",
        "setp.lt.u32 %p1, %r0, 8;\nsetp.ne.and.u32 %p1, %r0, 3, %p1;", "setp.lt.u32 %p1, %r0, 8;", Bench.Warp, b => [b.Upload(new uint[32])]);

    // It keeps its name when it comes to other lanes, and may go to shared memory there too.
    [TestCase("shfl.sync.bfly.b32 %r3, %r2, 16, 31, -1;")]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r3, %r4, %r5, %r6}, {%r2, %r2, %r2, %r2}, {%r2, %r2}, {%r2, %r2, %r2, %r2};")]
    [TestCase("shfl.sync.bfly.b32 %r4, %r2, 16, 31, -1;\nst.shared.b32 [%r20], %r4;\nld.shared.b32 %r3, [%r20];")]
    public void WhatNothingWroteKeepsItsNameInOtherLanes(string instructions) => Planted.Check(
        FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote",
        ".shared .align 4 .b8 s[128];\nmov.u32 %r20, s;\ncvt.u32.u64 %r21, %rd10;\nadd.u32 %r20, %r20, %r21;\n" +
        $"add.u64 %rd11, %rd0, %rd10;\nadd.u64 %rd12, %rd1, %rd10;\n@@\n{instructions}\nst.global.b32 [%rd12], %r3; // here",
        "ld.global.b32 %r2, [%rd11+64];", "ld.global.b32 %r2, [%rd11];", Bench.Warp, b => [b.AllocateWritten(192, 128), b.Upload(new uint[32])]);
}
