namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Lanes that part and meet, in either order of the ways. PTX ISA 9.7.12, Control Flow Instructions.</summary>
[TestFixture(0)]
[TestFixture(1)]
[TestFixture(2)]
[TestFixture(3)]
[TestFixture(4)]
internal sealed class BranchTests(int seed)
{
    // Where all have met, the vote sees every lane.
    private const string Together = "vote.sync.ballot.b32 %r3, %p0, 0xffffffff;\nsetp.eq.s32 %p1, %r3, -1;\nselp.b32 %r4, 1000, 0, %p1;\nadd.s32 %r2, %r2, %r4;";

    [Test]
    public void LanesLoopAsOftenAsTheyNeed() => Check(
        $"""
        mov.b32 %r2, 0;
        mov.b32 %r5, 0;
        $loop:
        setp.ge.s32 %p1, %r5, %r0;
        @%p1 bra $done;
        add.s32 %r5, %r5, 1;
        add.s32 %r2, %r2, %r5;
        bra.uni $loop;
        $done:
        {Together}
        """,
        i => (i * (i + 1) / 2) + 1000);

    [Test]
    public void ALoopIsLeftFromWithin() => Check(
        $"""
        mov.b32 %r2, 0;
        $loop:
        add.s32 %r2, %r2, 3;
        setp.gt.s32 %p1, %r2, %r0;
        @%p1 bra $done;
        setp.lt.s32 %p1, %r2, 15;
        @%p1 bra $loop;
        add.s32 %r2, %r2, 100;
        $done:
        {Together}
        """,
        i => i < 15 ? (((i / 3) + 1) * 3) + 1000 : 1115);

    [Test]
    public void NestedBranchesMeetOneAfterAnother() => Check(
        $"""
        mov.b32 %r2, 1;
        and.b32 %r5, %r0, 1;
        setp.eq.s32 %p1, %r5, 0;
        @!%p1 bra $odd;
        and.b32 %r5, %r0, 2;
        setp.eq.s32 %p1, %r5, 0;
        @%p1 bra $four;
        mov.b32 %r2, 2;
        bra $even;
        $four:
        mov.b32 %r2, 4;
        $even:
        vote.sync.ballot.b32 %r6, %p0, 0x55555555;
        and.b32 %r6, %r6, 0xff;
        add.s32 %r2, %r2, %r6;
        bra $meet;
        $odd:
        mov.b32 %r2, 3;
        $meet:
        {Together}
        """,
        i => (i % 2 == 1 ? 3 : (i % 4 == 0 ? 4 : 2) + 0x55) + 1000);

    // PTX ISA 9.7.12, brx.idx.
    [Test]
    public void AnIndexChoosesTheWay() => Check(
        $"""
        and.b32 %r5, %r0, 3;
        $list: .branchtargets $zero, $one, $two, $one;
        brx.idx.uni %r5, $list;
        $zero:
        mov.b32 %r2, 10;
        bra $meet;
        $one:
        add.s32 %r2, %r0, 20;
        bra $meet;
        $two:
        mov.b32 %r2, 30;
        $meet:
        {Together}
        """,
        i => (i % 4 == 0 ? 10 : i % 4 == 2 ? 30 : 20 + i) + 1000);

    // A branch to the next line parts nobody.
    [Test]
    public void BothWaysMayBeOne() => Check(
        $"""
        mov.b32 %r2, %r0;
        setp.lt.u32 %p1, %r0, 9;
        @%p1 bra $next;
        $next:
        {Together}
        """,
        i => i + 1000);

    [Test]
    public void SomeLanesEndEarly()
    {
        using var bench = NewBench();
        nint d = bench.Upload([.. Enumerable.Repeat(7, 32)]);

        bench.Launch(
            """
            add.u64 %rd11, %rd0, %rd10;
            setp.lt.u32 %p1, %r0, 20;
            @!%p1 ret;
            mov.b32 %r2, 0;
            setp.lt.u32 %p2, %r0, 10;
            @%p2 bra $low;
            st.global.b32 [%rd11], 2;
            ret;
            $low:
            shfl.sync.idx.b32 %r2, %r0, 9, 0x1f, 0x3ff;
            st.global.b32 [%rd11], %r2;
            """, Bench.Warp, d);

        Assert.That(bench.Download<int>(d, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => i < 10 ? 9 : i < 20 ? 2 : 7)));
    }

    [Test]
    public void LanesEndWithinALoop()
    {
        using var bench = NewBench();
        nint d = bench.Upload(new int[32]);

        bench.Launch(
            """
            add.u64 %rd11, %rd0, %rd10;
            mov.b32 %r2, 0;
            $loop:
            st.global.b32 [%rd11], %r2;
            setp.ge.s32 %p1, %r2, %r0;
            @%p1 ret;
            add.s32 %r2, %r2, 1;
            bra $loop;
            """, Bench.Warp, d);

        Assert.That(bench.Download<int>(d, 32), Is.EqualTo(Enumerable.Range(0, 32)));
    }

    // What a guard keeps from a lane neither reads nor writes for it: the addresses of the other lanes are no memory.
    [Test]
    public void GuardsAreEachLanesOwn()
    {
        using var bench = NewBench();
        nint d = bench.Upload([.. Enumerable.Repeat(7, 32)]);
        nint a = bench.Upload([.. Enumerable.Range(100, 32)]);

        bench.Launch(
            """
            add.u64 %rd11, %rd0, %rd10;
            add.u64 %rd12, %rd1, %rd10;
            and.b32 %r3, %r0, 3;
            setp.eq.s32 %p1, %r3, 3;
            @%p1 mov.b64 %rd12, 0;
            mov.b32 %r2, 50;
            @!%p1 ld.global.b32 %r2, [%rd12];
            setp.lt.u32 %p2, %r0, 16;
            @!%p2 mov.b64 %rd11, 8;
            @%p2 st.global.b32 [%rd11], %r2;
            """, Bench.Warp, d, a);

        Assert.That(bench.Download<int>(d, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => i >= 16 ? 7 : i % 4 == 3 ? 50 : 100 + i)));
    }

    private Bench NewBench() => new(new MachineOptions { Seed = seed });

    private void Check(string body, Func<int, int> expected)
    {
        using var bench = NewBench();
        nint d = bench.Allocate<int>(32);

        bench.Launch($"setp.eq.s32 %p0, 0, 0;\n{body}\nadd.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2;", Bench.Warp, d);

        Assert.That(bench.Download<int>(d, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(expected)));
    }
}
