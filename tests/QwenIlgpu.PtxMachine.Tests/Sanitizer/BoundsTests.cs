namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class BoundsTests
{
    // 32 words: the last lane reaches one behind them.
    [TestCase("ld.global.b32 %r2, [%rd11+4]; // here", "ld.global.b32 %r2, [%rd11];")]
    [TestCase("st.global.b32 [%rd11+4], %r0; // here", "st.global.b32 [%rd11], %r0;")]
    [TestCase("red.global.add.u32 [%rd11+4], 1; // here", "red.global.add.u32 [%rd11], 1;")]
    [TestCase("ld.global.b8 %h0, [%rd0+-1]; // here", "ld.global.b8 %h0, [%rd0];")]
    [TestCase("ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0+128]; // here", "ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0+112];")]
    public void OfAnAllocation(string fault, string twin) => Planted.Check(
        FaultKind.OutOfBounds, @"^\d+ bytes at 0x[0-9a-f]+ \(.*\) are not in what the address is made from: the operand at parameter byte 0, \[0x",
        "add.u64 %rd11, %rd0, %rd10;\n@@", fault, twin, Bench.Warp, b => [b.Upload(new uint[32])]);

    // Memory of another operand is none of this one's.
    [Test]
    public void OfAnotherOperand() => Planted.Check(
        FaultKind.OutOfBounds, @"\(byte 0 of the operand at parameter byte 8\)", "@@",
        "add.s64 %rd3, %rd0, %rd2;\nst.global.b32 [%rd3], 1; // here", "add.s64 %rd3, %rd0, 0;\nst.global.b32 [%rd3], 1;", Bench.Line(1, 1),
        b =>
        {
            nint first = b.Upload(new uint[4]);
            nint second = b.Upload(new uint[4]);
            return [first, second, second - first];
        });

    // A view of 8 words of an allocation of 32: as much as the length behind the pointer says.
    [TestCase("ld.global.b32 %r2, [%rd0+32]; // here", "ld.global.b32 %r2, [%rd0+28];")]
    [TestCase("st.global.v2.b32 [%rd0+32], {%r0, %r0}; // here", "st.global.v2.b32 [%rd0+24], {%r0, %r0};")]
    public void OfAView(string fault, string twin)
    {
        Planted.Check(
            FaultKind.OutOfBounds, @"byte 0, \[0x[0-9a-f]+, 0x[0-9a-f]+\)$", "@@", fault, twin, Bench.Line(1, 1), b => [b.Upload(new uint[32]), 8], "0[4]");
        Planted.CheckPasses(new MachineOptions(), fault, Bench.Line(1, 1), b => [b.Upload(new uint[32]), 8]);
    }

    [Test]
    public void OfAnEmptyView() => Planted.Check(
        FaultKind.OutOfBounds, "operand at parameter byte 0", "@@", "ld.global.b32 %r2, [%rd0]; // here", "ld.global.b32 %r2, [%rd2];", Bench.Line(1, 1),
        b => [b.Upload(new uint[32]), 0, b.Upload(new uint[32]), 1], "0[4] 16[4]");

    // The last bytes of all addresses: the end of the access is address 0, which is not behind an empty view's.
    [Test]
    public void BeforeTheFirstAddress()
    {
        Planted.Check(
            FaultKind.OutOfBounds, "no allocation", "@@", "ld.global.b32 %r2, [%rd0-4]; // here", "ld.global.b32 %r2, [%rd2];", Bench.Line(1, 1),
            b => [0, 0, b.Upload(new uint[32]), 1], "0[4] 16[4]");
        Planted.Check(
            FaultKind.OutOfBounds, "at shared byte -4 ", ".shared .align 16 .b8 s[64];\nmov.u64 %rd20, s;\n@@", "st.shared.b32 [%rd20-4], 1; // here",
            "st.shared.b32 [%rd20+4], 1;", Bench.Line(1, 1), b => []);
    }

    [TestCase("ld.global.b32 %r2, [%rd0+2]; // here", "ld.global.b32 %r2, [%rd0+4];", 4)]
    [TestCase("ld.global.b64 %rd2, [%rd0+4]; // here", "ld.global.b64 %rd2, [%rd0+8];", 8)]
    [TestCase("ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0+8]; // here", "ld.global.v4.b32 {%r2, %r3, %r4, %r5}, [%rd0+16];", 16)]
    [TestCase("st.global.b16 [%rd0+1], 1; // here", "st.global.b16 [%rd0+2], 1;", 2)]
    [TestCase("atom.global.add.u32 %r2, [%rd0+2], 1; // here", "atom.global.add.u32 %r2, [%rd0+4], 1;", 4)]
    public void OfAlignment(string fault, string twin, int bytes) => Planted.Check(
        FaultKind.Misaligned, $@"^0x[0-9a-f]+ \(byte \d+ of the operand at parameter byte 0\) is no multiple of the {bytes} bytes of the access$", "@@",
        fault, twin, Bench.Line(1, 1), b => [b.Upload(new uint[32])]);

    [TestCase("ld.shared.b32 %r2, [%r20+2]; // here", "ld.shared.b32 %r2, [%r20+4];", 4)]
    [TestCase("st.shared.v4.b32 [%r20+8], {%r0, %r0, %r0, %r0}; // here", "st.shared.v4.b32 [%r20+16], {%r0, %r0, %r0, %r0};", 16)]
    public void OfAlignmentInSharedMemory(string fault, string twin, int bytes) => Planted.Check(
        FaultKind.Misaligned, $@"^shared byte \d+ is no multiple of the {bytes} bytes of the access$", ".shared .align 16 .b8 s[64];\nmov.u32 %r20, s;\n@@",
        fault, twin, Bench.Line(1, 1), b => []);

    // 16 words each: from the first array one comes into the second, from the second to the end.
    [TestCase("st.shared.b32 [%r20+64], 1; // here", "st.shared.b32 [%r20+60], 1;", @"^4 bytes at shared byte 64 .*: \[0, 64\)$")]
    [TestCase("st.shared.b32 [%r21+-4], 1; // here", "st.shared.b32 [%r21], 1;", @"^4 bytes at shared byte 60 .*: \[64, 128\)$")]
    [TestCase("ld.shared.b64 %rd2, [%r21+64]; // here", "ld.shared.b64 %rd2, [%r21+56];", @"^8 bytes at shared byte 128 .*: \[64, 128\)$")]
    [TestCase("atom.shared.add.u32 %r2, [%r20+64], 1; // here", "atom.shared.add.u32 %r2, [%r20+60], 1;",
        @"^4 bytes at shared byte 64 .*: \[0, 64\)$")]
    public void OfASharedArray(string fault, string twin, string message) => Planted.Check(
        FaultKind.OutOfBounds, message, ".shared .align 16 .b8 s[64];\n.shared .align 16 .b8 t[64];\nmov.u32 %r20, s;\nmov.u32 %r21, t;\n@@", fault, twin,
        Bench.Line(1, 1), b => []);

    // Through a 64-bit register, as pointers into shared memory come.
    [Test]
    public void OfASharedArrayThroughAWiderRegister() => Planted.Check(
        FaultKind.OutOfBounds, @": \[0, 64\)$",
        ".shared .align 16 .b8 s[64];\n.shared .align 16 .b8 t[64];\nmov.u64 %rd2, s;\nmul.wide.u32 %rd3, %r0, 4;\nadd.u64 %rd2, %rd2, %rd3;\n" +
        "cvt.u32.u64 %r20, %rd2;\n@@", "st.shared.b32 [%r20], %r0; // here", "setp.lt.u32 %p1, %r0, 16;\n@%p1 st.shared.b32 [%r20], %r0;",
        Bench.Line(1, 17), b => []);

    [Test]
    public void OfARowOfAMatrix() => Planted.Check(
        FaultKind.OutOfBounds, @"^16 bytes at shared byte 128 .*: \[0, 128\)$",
        ".shared .align 16 .b8 s[128];\nmov.u32 %r20, s;\nshl.b32 %r21, %r0, 4;\nadd.u32 %r20, %r20, %r21;\n@@",
        "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r20+16]; // here", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r2}, [%r20];",
        Bench.Warp, b => []);

    // Dynamic shared memory is as long as the launch says.
    [Test]
    public void OfDynamicSharedMemory() => Planted.Check(
        FaultKind.OutOfBounds, @"^4 bytes at shared byte 64 .*: \[0, 64\)$", ".shared .align 16 .b8 s[];\nmov.u32 %r20, s;\n@@",
        "st.shared.b32 [%r20+64], 1; // here", "st.shared.b32 [%r20+60], 1;", Bench.Line(1, 1) with { DynamicSharedBytes = 64 }, b => []);

    // −1 as unsigned is 2^32 − 1.
    [TestCase("mul.wide.u32 %rd11, %r2, 4;", 4)]
    [TestCase("cvt.u64.u32 %rd11, %r2;\nshl.b64 %rd11, %rd11, 2;", 4)]
    public void OfANegativeIndex(string widening, int bytes) => Planted.Check(
        FaultKind.NegativeIndex, $@"^0x[0-9a-f]+ is {bytes} bytes before the operand at parameter byte 0, its negative 32-bit index widened as unsigned$",
        $"@@\n{widening}\nadd.u64 %rd11, %rd0, %rd11;\nld.global.b32 %r3, [%rd11]; // here", "sub.s32 %r2, %r0, 1;", "add.s32 %r2, %r0, 0;", Bench.Warp,
        b => [b.Upload(new uint[32])]);

    // As signed it lies before the operand, and is no more than outside of it.
    [Test]
    public void OfANegativeIndexThatIsWidenedAsSigned() => Planted.Check(
        FaultKind.OutOfBounds, "operand at parameter byte 0",
        "@@\nmul.wide.s32 %rd11, %r2, 4;\nadd.s64 %rd11, %rd0, %rd11;\nld.global.b32 %r3, [%rd11]; // here", "sub.s32 %r2, %r0, 1;", "add.s32 %r2, %r0, 0;",
        Bench.Warp, b => [b.Upload(new uint[32])]);

    // Of the lanes of a warp it is the one outside that is named, and those inside go on.
    [Test]
    public void TheOtherLanesGoOn()
    {
        using var bench = new Bench();
        nint d = bench.Upload(new uint[31]);
        string text = Bench.Text("add.u64 %rd11, %rd0, %rd10;\nadd.s32 %r2, %r0, 1;\nst.global.b32 [%rd11], %r2; // here", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Warp, d);

        Assert.Multiple(() =>
        {
            Assert.That(faults.Select(f => f.Thread), Is.EqualTo(new[] { "group (0, 0, 0) thread (31, 0, 0)" }));
            Assert.That(faults[0].ToString(), Does.StartWith($"OutOfBounds in Kernel, line {Bench.MarkedLine(text)} `st.global.b32 [%rd11], %r2; // here`, group"));
            Assert.That(bench.Download<uint>(d, 31), Is.EqualTo(Enumerable.Range(1, 31)));
        });
    }
}
