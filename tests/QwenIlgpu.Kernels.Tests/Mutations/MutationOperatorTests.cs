namespace QwenIlgpu.Kernels.Tests;

/// <summary>What is changed in a line, by hand.</summary>
internal sealed class MutationOperatorTests
{
    // Two loops, the inner one of steps of 32, and a branch that ends neither.
    private const string Loops = """
        .visible .entry Kernel_Loops(
        )
        {
        	mov.b32	%r1, 0;
        	L_1:
        	setp.ge.s32	%p1, %r1, %r9;
        	@%p1 bra	L_5;
        	mov.b32	%r2, %tid.x;

        	L_2:
        	setp.lt.s32	%p2, %r2, 7;
        	cvt.s64.s32	%rd1, %r2;
        	setp.lt.s64	%p3, %rd1, %rd8;
        	setp.ge.s32	%p4, %r2, 256;
        	or.pred	%p5, %p4, %p3;
        	@%p5 bra	L_4;
        	@%p2 bra	L_3;
        	bar.sync	0;

        	L_3:
        	add.s32	%r3, %r2, 32;
        	mov.b32	%r2, %r3;
        	bra	L_2;

        	L_4:
        	add.s32	%r1, %r1, 1;
        	bra	L_1;

        	L_5:
        	ret;
        }
        """;

    [TestCase("\tcp.async.wait_group 0;", "", "\tcp.async.wait_group 1;")]
    [TestCase("\tcp.async.wait_all;", "")]
    [TestCase("\tbar.sync\t0;", "")]
    [TestCase("\tfence.acq_rel.gpu;", "")]
    [TestCase("\tcp.async.commit_group;")]
    [TestCase("\tst.shared.b32\t[%rd5], %r1;", "\tst.shared.b32\t[%rd5+4], %r1;", "\tst.shared.b32\t[%rd5-4], %r1;")]
    [TestCase("\tld.shared.v2.f32\t{%f1, %f2}, [%rd5+16];", "\tld.shared.v2.f32\t{%f1, %f2}, [%rd5+20];", "\tld.shared.v2.f32\t{%f1, %f2}, [%rd5+12];")]
    [TestCase(
        "\tcp.async.cg.shared.global [%r1], [%rd2], 16;",
        "\tcp.async.cg.shared.global [%r1+4], [%rd2], 16;", "\tcp.async.cg.shared.global [%r1-4], [%rd2], 16;")]
    [TestCase("\tld.global.f32\t%f1, [%rd5+16];")]
    [TestCase(
        "mma.sync.aligned.m16n8k16 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4};",
        "mma.sync.aligned.m16n8k16 {%f1, %f2, %f3, %f4}, {%r2, %r1, %r3, %r4}, {%r5, %r6}, {%f1, %f2, %f3, %f4};",
        "mma.sync.aligned.m16n8k16 {%f1, %f2, %f3, %f4}, {%r1, %r2, %r3, %r4}, {%r6, %r5}, {%f1, %f2, %f3, %f4};")]
    [TestCase("\t@%p1 bra\tL_1;", "\t@!%p1 bra\tL_1;")]
    [TestCase("\t@!%p1 bra\tL_1;", "\t@%p1 bra\tL_1;")]
    [TestCase("\tsetp.lt.s32\t%p1, %r1, %r2;")]
    [TestCase(
        "\tshfl.sync.idx.b32 %f1, %f2, 4, 0x1f, 0xffffffff;",
        "\tshfl.sync.idx.b32 %f1, %f2, 20, 0x1f, 0xffffffff;", "\tshfl.sync.idx.b32 %f1, %f2, 4, 0x1f, 0x0000ffff;")]
    [TestCase(
        "\tshfl.sync.bfly.b32 %f1, %f2, 8, 0x1f, 0xffffffff;",
        "\tshfl.sync.bfly.b32 %f1, %f2, 4, 0x1f, 0xffffffff;", "\tshfl.sync.bfly.b32 %f1, %f2, 8, 0x1f, 0x0000ffff;")]
    [TestCase(
        "\tshfl.sync.bfly.b32 %f1, %f2, %r3, 0x1f, 0xffffffff;",
        "\t{ .reg .b32 %mutant; shr.u32 %mutant, %r3, 1; shfl.sync.bfly.b32 %f1, %f2, %mutant, 0x1f, 0xffffffff; }",
        "\tshfl.sync.bfly.b32 %f1, %f2, %r3, 0x1f, 0x0000ffff;")]
    public void Changes(string line, params string[] expected) =>
        Assert.That(MutationOperators.Of(line, 0).Select(m => m.After), Is.EqualTo(expected));

    [TestCase("\tsetp.ge.s32\t%p1, %r1, 256;", 32, "\tsetp.ge.s32\t%p1, %r1, 288;", "\tsetp.ge.s32\t%p1, %r1, 224;")]
    [TestCase(
        "\tsetp.lt.s64\t%p1, %rd1, %rd2;", 1,
        "\t{ .reg .b64 %mutant; add.s64 %mutant, %rd2, 1; setp.lt.s64\t%p1, %rd1, %mutant; }",
        "\t{ .reg .b64 %mutant; add.s64 %mutant, %rd2, -1; setp.lt.s64\t%p1, %rd1, %mutant; }")]
    public void MovesTheBoundOfALoop(string line, int step, params string[] expected) =>
        Assert.That(MutationOperators.Of(line, step).Select(m => m.After), Is.EqualTo(expected));

    [Test]
    public void FindsTheBoundsOfLoopsAndTheirSteps()
    {
        string[] lines = Loops.Split('\n');

        var found = LoopBounds.Find(lines).Select(b => (lines[b.Key].Trim(), b.Value)).ToArray();

        Assert.That(found, Is.EquivalentTo(new[]
        {
            ("setp.ge.s32\t%p1, %r1, %r9;", 1L), ("setp.lt.s64\t%p3, %rd1, %rd8;", 32L), ("setp.ge.s32\t%p4, %r2, 256;", 32L),
        }));
    }

    [Test]
    public void LeavesTheOtherLinesWhereTheyAre()
    {
        Mutation dropped = MutationOperators.Of(Loops).Single(m => m.Operator == MutationOperator.Dropped);

        Assert.That(dropped.In(Loops.Split('\n')), Is.EqualTo(Loops.Replace("\tbar.sync\t0;", "", StringComparison.Ordinal)));
        Assert.That(dropped.Change, Is.EqualTo("no bar.sync 0;"));
        Assert.That(MutationOperators.Of(Loops).Select(m => m.Change), Has.Member("@!%p bra L_;"));
    }
}
