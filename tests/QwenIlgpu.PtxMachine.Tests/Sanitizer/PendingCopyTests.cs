namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class PendingCopyTests
{
    private const string Pending = @"^shared byte \d+: an asynchronous copy may still land there: wait for it first$";

    // 16 bytes a thread; %rd11 is the thread's source, %r20 its target, %r22 its neighbour's of the other warp.
    private const string Prologue =
        """
        .shared .align 16 .b8 s[2048];
        mul.wide.u32 %rd11, %r0, 16;
        add.u64 %rd11, %rd0, %rd11;
        mov.u32 %r19, s;
        shl.b32 %r21, %r0, 4;
        add.u32 %r20, %r19, %r21;
        xor.b32 %r22, %r21, 512;
        add.u32 %r22, %r19, %r22;
        cp.async.cg.shared.global [%r20], [%rd11], 16;
        cp.async.commit_group;

        """;

    private const string WaitForAll = "cp.async.wait_group 0;";

    // Read, copied over and plainly written over before the wait; a wait that leaves one group too many; one without the commit.
    [TestCase("@@\nld.shared.b32 %r2, [%r20]; // here", "", WaitForAll)]
    [TestCase("@@\ncp.async.cg.shared.global [%r20], [%rd11], 16; // here\ncp.async.wait_all;", "", WaitForAll)]
    [TestCase("@@\nst.shared.b32 [%r20+12], 1; // here", "", WaitForAll)]
    [TestCase("@@\nld.shared.b32 %r2, [%r20]; // here", "cp.async.wait_group 1;", WaitForAll)]
    [TestCase("cp.async.cg.shared.global [%r20+1024], [%rd11], 16;\ncp.async.commit_group;\n@@\nld.shared.b32 %r2, [%r20]; // here",
        "cp.async.wait_group 2;", "cp.async.wait_group 1;")]
    [TestCase("cp.async.cg.shared.global [%r20+1024], [%rd11], 16;\n@@\ncp.async.wait_group 0;\nld.shared.b32 %r2, [%r20+1024]; // here",
        "", "cp.async.commit_group;")]
    [TestCase("cp.async.wait_all;\ncp.async.cg.shared.global [%r20+1024], [%rd11], 16, 0;\n@@\nld.shared.b32 %r2, [%r20+1024]; // here", "",
        "cp.async.wait_all;")]
    public void TouchedBeforeItsWait(string body, string fault, string twin) =>
        Planted.Check(FaultKind.PendingCopy, Pending, Prologue + body, fault, twin, Bench.Line(1, 64), Rows);

    // A wait is for the thread's own copies: the others need a barrier behind it, which without the wait is not enough either.
    [Test]
    public void OthersNeedABarrierBehindTheWait() => Planted.Check(
        FaultKind.SharedRace, @"thread \d+ (wrote|read) it since the last barrier",
        Prologue + "bar.sync 0;\ncp.async.wait_group 0;\nbar.sync 0;\ncp.async.cg.shared.global [%r20], [%rd11], 16; // here\ncp.async.wait_all;\n@@\n" +
        "ld.shared.b32 %r2, [%r22]; // here", "", "bar.sync 0;", Bench.Line(1, 64), Rows);

    [Test]
    public void ABarrierIsNoWait() => Planted.Check(
        FaultKind.PendingCopy, Pending, Prologue + "@@\nbar.sync 0;\nld.shared.b32 %r2, [%r22]; // here\nbar.sync 0;", "", WaitForAll, Bench.Line(1, 64), Rows);

    // What a copy fills with zeros it never reads: its source may be no memory at all.
    [Test]
    public void AFillNeedsNoSource() => Planted.Check(
        FaultKind.OutOfBounds, "^(16|4) bytes at 0x[0-9a-f]+ ", Prologue + "mov.b64 %rd12, 4096;\n@@\ncp.async.wait_all;\nld.shared.b32 %r2, [%r20+1024];",
        "cp.async.cg.shared.global [%r20+1024], [%rd12], 16, 4; // here", "cp.async.cg.shared.global [%r20+1024], [%rd12], 16, 0;", Bench.Line(1, 64), Rows);

    // A source of 12 bytes ends with the 12: behind them may be the end of the memory, or what nothing wrote, or another's.
    [TestCase(16, 12)]
    [TestCase(16, 5)]
    [TestCase(16, 8)]
    public void APartOfASourceIsAllThatIsRead(int copied, int read)
    {
        string Copy(int bytes, string mark) =>
            $".shared .align 16 .b8 s[16];\nmov.u32 %r20, s;\ncp.async.cg.shared.global [%r20], [%rd0], {copied}, {bytes}; {mark}\ncp.async.wait_all;\n" +
            "ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r20];\nst.global.v4.b32 [%rd1], {%r2, %r3, %r4, %r5};";
        Planted.Check(
            FaultKind.OutOfBounds, $"^{read + 1} bytes at 0x", Planted.Place, Copy(read + 1, Bench.Mark), Copy(read, ""), Bench.Line(1, 1),
            b => [b.AllocateWritten(read, read), b.Allocate<uint>(4)]);
        Planted.Check(
            FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote", Planted.Place,
            Copy(read + 1, "") + Bench.Mark, Copy(read, ""), Bench.Line(1, 1), b => [b.AllocateWritten(32, read), b.Allocate<uint>(4)]);
    }

    // Of 16 bytes nothing wrote the last ten: the third number of 16 bits is there, the fourth is not.
    [Test]
    public void ACopyCarriesOnWhichNumbersNothingWrote() => Planted.Check(
        FaultKind.UnwrittenMemory, "what is stored depends on what nothing wrote; last so read: shared byte 6",
        ".shared .align 16 .b8 s[16];\nmov.u32 %r20, s;\ncp.async.cg.shared.global [%r20], [%rd0], 16;\ncp.async.wait_all;\n@@\n" +
        "cvt.u32.u16 %r2, %h1;\nst.global.b32 [%rd1], %r2; // here",
        "ld.shared.b16 %h1, [%r20+6];", "ld.shared.b16 %h1, [%r20+4];", Bench.Line(1, 1), b => [b.AllocateWritten(16, 6), b.Upload(new uint[1])]);

    [Test]
    public void ASourceIsAlignedToWhatIsCopied() => Planted.Check(
        FaultKind.Misaligned, "is no multiple of the 16 bytes of the access$", Prologue + "@@\ncp.async.wait_all;",
        "cp.async.cg.shared.global [%r20+1024], [%rd11+8], 16, 4; // here", "cp.async.cg.shared.global [%r20+1024], [%rd11], 16, 4;", Bench.Line(1, 64), Rows);

    private static nint[] Rows(Bench bench) => [bench.Upload(new uint[256])];
}
