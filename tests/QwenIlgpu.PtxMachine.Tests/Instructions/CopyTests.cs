namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>cp.async, whenever it lands. PTX ISA 9.7.9.25, Asynchronous Copy.</summary>
[TestFixture(0)]
[TestFixture(1)]
[TestFixture(2)]
[TestFixture(3)]
[TestFixture(4)]
internal sealed class CopyTests(int seed)
{
    // A row of 16 bytes a thread; what the source's size leaves is zero, and shared memory held other bytes.
    [TestCase("cp.async.cg.shared.global", "16", "", 4)]
    [TestCase("cp.async.cg.shared.global", "16", ", 16", 4)]
    [TestCase("cp.async.cg.shared.global", "16", ", 12", 3)]
    [TestCase("cp.async.cg.shared.global", "16", ", 4", 1)]
    [TestCase("cp.async.cg.shared.global", "16", ", 0", 0)]
    [TestCase("cp.async.ca.shared.global", "8", "", 2)]
    [TestCase("cp.async.ca.shared.global", "8", ", 4", 1)]
    [TestCase("cp.async.ca.shared.global", "4", "", 1)]
    public void CopiesAndFillsWithZeros(string spelling, string bytes, string sourceBytes, int words)
    {
        using var bench = NewBench();
        nint d = bench.Allocate<uint>(128);

        bench.Launch(
            $$"""
            {{Bench.Rows}}
            st.shared.v4.b32 [%r20], {9, 9, 9, 9};
            {{spelling}} [%r20], [%rd11], {{bytes}}{{sourceBytes}};
            cp.async.commit_group;
            cp.async.wait_group 0;
            ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r20];
            st.global.v4.b32 [%rd12], {%r2, %r3, %r4, %r5};
            """, Bench.Warp, d, bench.Upload([.. Enumerable.Range(100, 128)]));

        int copied = int.Parse(bytes, System.Globalization.CultureInfo.InvariantCulture) / 4;
        Assert.That(
            bench.Download<uint>(d, 128), Is.EqualTo(Enumerable.Range(0, 128).Select(i => i % 4 < words ? 100 + i : i % 4 < copied ? 0 : 9)));
    }

    // Sizes of each lane's own: 0, 4, 8, 12, 16 bytes and again.
    [Test]
    public void EachLaneHasASizeOfItsOwn()
    {
        using var bench = NewBench();
        nint d = bench.Allocate<uint>(128);

        bench.Launch(
            $$"""
            {{Bench.Rows}}
            rem.u32 %r6, %r0, 5;
            shl.b32 %r6, %r6, 2;
            cp.async.cg.shared.global [%r20], [%rd11], 16, %r6;
            cp.async.commit_group;
            cp.async.wait_group 0;
            ld.shared.v4.b32 {%r2, %r3, %r4, %r5}, [%r20];
            st.global.v4.b32 [%rd12], {%r2, %r3, %r4, %r5};
            """, Bench.Warp, d, bench.Upload([.. Enumerable.Range(100, 128)]));

        Assert.That(bench.Download<uint>(d, 128), Is.EqualTo(Enumerable.Range(0, 128).Select(i => i % 4 < i / 4 % 5 ? 100 + i : 0)));
    }

    // Waiting for all but one group, each of the three can be read in its turn.
    [Test]
    public void GroupsAreWaitedForInOrder()
    {
        using var bench = NewBench();
        nint d = bench.Allocate<uint>(96);

        bench.Launch(
            """
            .shared .align 16 .b8 s[384];
            mov.u32 %r20, s;
            cvt.u32.u64 %r21, %rd10;
            add.u32 %r20, %r20, %r21;
            add.u64 %rd11, %rd1, %rd10;
            add.u64 %rd12, %rd0, %rd10;
            cp.async.ca.shared.global [%r20], [%rd11], 4;
            cp.async.commit_group;
            cp.async.ca.shared.global [%r20+128], [%rd11+128], 4;
            cp.async.commit_group;
            cp.async.wait_group 1;
            ld.shared.b32 %r2, [%r20];
            st.global.b32 [%rd12], %r2;
            cp.async.ca.shared.global [%r20+256], [%rd11+256], 4;
            cp.async.commit_group;
            cp.async.wait_group 1;
            ld.shared.b32 %r2, [%r20+128];
            st.global.b32 [%rd12+128], %r2;
            cp.async.wait_all;
            ld.shared.b32 %r2, [%r20+256];
            st.global.b32 [%rd12+256], %r2;
            """, Bench.Warp, d, bench.Upload([.. Enumerable.Range(100, 96)]));

        Assert.That(bench.Download<uint>(d, 96), Is.EqualTo(Enumerable.Range(100, 96)));
    }

    private Bench NewBench() => new(new MachineOptions { Seed = seed });
}
