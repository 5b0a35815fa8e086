namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class SynchronizationTests
{
    private const string Prologue =
        ".shared .align 16 .b8 s[512];\nmov.b32 %r2, 0;\nmov.f32 %f0, 0f00000000;\nmov.u32 %r20, s;\nshl.b32 %r21, %r0, 4;\nadd.u32 %r20, %r20, %r21;\n";

    // Half of the warp takes the branch.
    [TestCase("shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; // here", "shfl.sync.bfly.b32 %r3, %r2, 1, 31, 0xffff;")]
    [TestCase("vote.sync.ballot.b32 %r3, %p1, -1; // here", "vote.sync.ballot.b32 %r3, %p1, 0xffff;")]
    [TestCase("bar.warp.sync -1; // here", "bar.warp.sync 0xffff;")]
    [TestCase("bar.sync 0; // here", "$end:\nbar.sync 0;\n$later:")]
    [TestCase("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r20]; // here",
        "$end:\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r3}, [%r20];\n$later:")]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f0, %f0, %f0}, {%r2, %r2, %r2, %r2}, {%r2, %r2}, {%f0, %f0, %f0, %f0}; // here",
        "$end:\nmma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f0, %f0, %f0}, {%r2, %r2, %r2, %r2}, {%r2, %r2}, {%f0, %f0, %f0, %f0};\n$later:")]
    public void AWarpThatHasParted(string fault, string twin) => Planted.Check(
        FaultKind.Divergence, "^lanes 0xffffffff must come here together, but only 0x0000ffff did$",
        Prologue + "setp.lt.u32 %p1, %r0, 16;\n@!%p1 bra $end;\n@@", fault + "\n$end:", twin.Contains("$end:", StringComparison.Ordinal) ? twin : twin + "\n$end:",
        Bench.Warp, b => []);

    // A guard parts a warp like a branch.
    [Test]
    public void AGuardOnAShuffle() => Planted.Check(
        FaultKind.Divergence, "^lanes 0xffffffff must come here together, but only 0x0000000f did$",
        Prologue + "@@\n@%p1 shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; // here", "setp.lt.u32 %p1, %r0, 4;", "setp.lt.u32 %p1, %r0, 32;", Bench.Warp, b => []);

    // Lanes 8 to 31 are not there.
    [Test]
    public void AWarpThatIsNotFull() => Planted.Check(
        FaultKind.Divergence, "^lanes 0xffffffff must come here together, but only 0x000000ff did$", Prologue + "@@",
        "shfl.sync.bfly.b32 %r3, %r2, 1, 31, -1; // here", "shfl.sync.bfly.b32 %r3, %r2, 1, 31, 0xff;", Bench.Line(1, 8), b => []);

    // A lane, then a whole warp, ends while the others wait.
    [TestCase("setp.eq.s32 %p1, %r0, 40;", "^the thread has ended, and others of its group wait at this barrier$")]
    [TestCase("setp.ge.u32 %p1, %r0, 32;",
        "^(the thread has ended, and others of its group wait|it waits) at this barrier(, and another warp of its group has ended)?$")]
    public void AThreadThatEndsBeforeABarrier(string fault, string message) => Planted.Check(
        FaultKind.ExitAtBarrier, message, "@@\n@%p1 ret;\nbar.sync 0; // here", fault, "setp.ge.u32 %p1, %r0, 64;", Bench.Line(1, 64), b => []);

    [Test]
    public void WarpsAtDifferentBarriers() => Planted.Check(
        FaultKind.Deadlock, "^every warp of the group waits, and not at the same barrier$",
        "setp.ge.u32 %p1, %r0, 32;\n@%p1 bra $other;\nbar.sync 0; // here\nbra $end;\n$other:\n@@\n$end:", "bar.sync 1; // here", "bar.sync 0;",
        Bench.Line(1, 64), b => []);

    // One warp comes to the barrier once more than the other.
    [Test]
    public void AWarpThatWaitsOnceMore() => Planted.Check(
        FaultKind.ExitAtBarrier, "at this barrier", "mov.b32 %r2, 0;\n@@\n$loop:\nbar.sync 0; // here\nadd.s32 %r2, %r2, 1;\nsetp.lt.s32 %p1, %r2, %r3;\n@%p1 bra $loop;",
        "shr.u32 %r3, %r0, 5;\nadd.s32 %r3, %r3, 1;", "mov.b32 %r3, 2;", Bench.Line(1, 64), b => []);

    // Far fewer iterations pass than the limit has turns.
    [TestCase(false)]
    [TestCase(true)]
    public void ALoopWithoutAnEnd(bool spins)
    {
        using var bench = new Bench(new MachineOptions { MostTurns = 1000 });

        IReadOnlyList<Fault> faults = bench.FaultsOf(
            Bench.Text($"mov.b32 %r2, 0;\n$loop:\nadd.s32 %r2, %r2, {(spins ? 0 : 1)};\nsetp.lt.s32 %p1, %r2, 100;\n@%p1 bra $loop;", 0), Bench.Warp);

        Assert.That(faults.Select(f => f.Kind), Is.EqualTo(spins ? new[] { FaultKind.Deadlock } : []));
        Assert.That(bench.Turns, spins ? Is.EqualTo(1000) : Is.InRange(3, 200));
    }
}
