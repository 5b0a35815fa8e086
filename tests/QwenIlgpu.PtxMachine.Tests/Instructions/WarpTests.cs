using System.Globalization;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class WarpTests
{
    // PTX ISA 9.7.9, shfl.sync: bits 0-4 of c clamp, bits 8-12 are a mask of lanes that stay in their segment. The lanes that each lane of the
    // first segment reads, starred where the predicate is false; the other segments read alike.
    [TestCase("shfl.sync.down.b32", 3, 0x181f, "3 4 5 6 7 5* 6* 7*")]
    [TestCase("shfl.sync.down.b32", 1, 0x1f, "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 31*")]
    [TestCase("shfl.sync.down.b32", 16, 0x100f, "0* 1* 2* 3* 4* 5* 6* 7* 8* 9* 10* 11* 12* 13* 14* 15*")]
    [TestCase("shfl.sync.down.b32", 0, 0x1f, "0 1")]
    [TestCase("shfl.sync.up.b32", 1, 0x00, "0* 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30")]
    [TestCase("shfl.sync.up.b32", 3, 0x1800, "0* 1* 2* 0 1 2 3 4")]
    [TestCase("shfl.sync.bfly.b32", 1, 0x1f, "1 0")]
    [TestCase("shfl.sync.bfly.b32", 16, 0x1f, "16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15")]
    [TestCase("shfl.sync.bfly.b32", 4, 0x1c03, "0* 1* 2* 3* 0 1 2 3")]
    [TestCase("shfl.sync.idx.b32", 2, 0x181f, "2 2 2 2 2 2 2 2")]
    [TestCase("shfl.sync.idx.b32", 5, 0x1803, "0* 1* 2* 3* 4* 5* 6* 7*")]
    [TestCase("shfl.sync.idx.b32", 2, 0x1803, "2 2 2 2 2 2 2 2")]
    [TestCase("shfl.sync.idx.b32", 34, 0x181f, "2 2 2 2 2 2 2 2")]
    public void Shuffles(string spelling, int b, int c, string sources)
    {
        string[] segment = sources.Split(' ');
        IEnumerable<uint> expected = Enumerable.Range(0, 32).Select(lane =>
        {
            string source = segment[lane % segment.Length];
            uint from = uint.Parse(source.TrimEnd('*'), CultureInfo.InvariantCulture) + (uint)(lane / segment.Length * segment.Length);
            return 1000 + from + (source.EndsWith('*') ? 0 : 0x10000u);
        });

        Assert.That(
            Run($"add.s32 %r2, %r0, 1000;\n{spelling} %r3|%p1, %r2, {b}, {c}, 0xffffffff;\nselp.b32 %r4, 0x10000, 0, %p1;\nadd.s32 %r2, %r3, %r4;"),
            Is.EqualTo(expected));
    }

    [Test]
    public void EachLaneNamesALaneOfItsOwn() => Assert.That(
        Run("sub.s32 %r3, 31, %r0;\nadd.s32 %r4, %r0, 50;\nshfl.sync.idx.b32 %r2, %r4, %r3, 0x1f, -1;"),
        Is.EqualTo(Enumerable.Range(0, 32).Select(i => 81 - i)));

    // The mask names the lanes that come: half a warp may shuffle in its branch.
    [Test]
    public void HalfAWarpShuffles() => Assert.That(
        Run(
            """
            mov.b32 %r2, %r0;
            setp.ge.u32 %p1, %r0, 16;
            @%p1 bra $meet;
            shfl.sync.bfly.b32 %r2, %r0, 1, 0x1f, 0xffff;
            $meet:
            """),
        Is.EqualTo(Enumerable.Range(0, 32).Select(i => i < 16 ? i ^ 1 : i)));

    // PTX ISA 9.7.13, vote.sync.
    [TestCase("setp.lt.u32 %p1, %r0, 5;\nvote.sync.ballot.b32 %r2, %p1, 0xffffffff;", 0x1fu)]
    [TestCase("setp.lt.u32 %p1, %r0, 0;\nvote.sync.ballot.b32 %r2, %p1, 0xffffffff;", 0u)]
    [TestCase("and.b32 %r3, %r0, 1;\nsetp.ne.s32 %p1, %r3, 0;\nvote.sync.ballot.b32 %r2, %p1, 0xffffffff;", 0xaaaaaaaau)]
    [TestCase("setp.lt.u32 %p1, %r0, 32;\nvote.sync.all.pred %p2, %p1, 0xffffffff;\nselp.b32 %r2, 1, 0, %p2;", 1u)]
    [TestCase("setp.lt.u32 %p1, %r0, 31;\nvote.sync.all.pred %p2, %p1, 0xffffffff;\nselp.b32 %r2, 1, 0, %p2;", 0u)]
    [TestCase("setp.lt.u32 %p1, %r0, 1;\nvote.sync.any.pred %p2, %p1, 0xffffffff;\nselp.b32 %r2, 1, 0, %p2;", 1u)]
    public void Votes(string instructions, uint expected) => Assert.That(Run(instructions), Is.All.EqualTo(expected));

    // PTX ISA 9.7.14, ldmatrix: lane l gets elements 2(l % 4) and the next of row l / 4, turned of column l / 4. Element (m, r, c) is
    // 64m + 8r + c; lanes that name no row have any address.
    [TestCase("ldmatrix.sync.aligned.m8n8.x1.shared.b16", 1, false)]
    [TestCase("ldmatrix.sync.aligned.m8n8.x2.shared.b16", 2, false)]
    [TestCase("ldmatrix.sync.aligned.m8n8.x4.shared.b16", 4, false)]
    [TestCase("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16", 1, true)]
    [TestCase("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16", 2, true)]
    [TestCase("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", 4, true)]
    public void LoadsMatrices(string spelling, int matrices, bool isTransposed)
    {
        using var bench = new Bench();
        nint d = bench.Upload(new uint[128]);
        nint a = bench.Upload([.. Enumerable.Range(0, 256).Select(i => (ushort)i)]);
        string registers = string.Join(", ", Enumerable.Range(2, matrices).Select(i => $"%r{i}"));
        IEnumerable<string> stores = Enumerable.Range(0, matrices).Select(m => $"st.global.b32 [%rd12+{128 * m}], %r{m + 2};");

        bench.Launch(
            $$"""
            .shared .align 16 .b8 s[512];
            mul.wide.u32 %rd11, %r0, 16;
            add.u64 %rd11, %rd1, %rd11;
            add.u64 %rd12, %rd0, %rd10;
            mov.u32 %r20, s;
            shl.b32 %r21, %r0, 4;
            add.u32 %r20, %r20, %r21;
            ld.global.v4.b32 {%r22, %r23, %r24, %r25}, [%rd11];
            st.shared.v4.b32 [%r20], {%r22, %r23, %r24, %r25};
            bar.sync 0;
            setp.ge.u32 %p1, %r0, {{8 * matrices}};
            @%p1 mov.b32 %r20, 0x7ffffff1;
            {{spelling}} { {{registers}} }, [%r20];
            {{string.Join('\n', stores)}}
            """, Bench.Warp, d, a);

        var expected = new uint[128];
        for (int i = 0; i < 32 * matrices; i++)
        {
            (int matrix, int major, int minor) = (i / 32, i % 32 / 4, i % 4 * 2);
            int low = (64 * matrix) + (isTransposed ? (8 * minor) + major : (8 * major) + minor);
            expected[i] = (uint)(low | ((low + (isTransposed ? 8 : 1)) << 16));
        }

        Assert.That(bench.Download<uint>(d, 128), Is.EqualTo(expected));
    }

    // PTX ISA 9.7.14, fragments of mma.m16n8k16: one element of A, of B and of C; 2 · 3 + 0.25. First A(9, 5), B(5, 6), then A(3, 12), B(12, 1).
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 1, 6, 0x40000000u, 0, 26, 0x42000000u, 2, 7)]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 2, 14, 0x00004000u, 1, 6, 0x00004200u, 1, 12)]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 1, 6, 0x40000000u, 0, 26, 0x40400000u, 2, 7)]
    [TestCase("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 2, 14, 0x00004000u, 1, 6, 0x00004040u, 1, 12)]
    public void MultipliesMatrices(string spelling, int aRegister, int aLane, uint a, int bRegister, int bLane, uint b, int dRegister, int dLane)
    {
        using var bench = new Bench();
        var operands = new uint[320];
        operands[(32 * aRegister) + aLane] = a;
        operands[128 + (32 * bRegister) + bLane] = b;
        operands[192 + (32 * dRegister) + dLane] = 0x3e800000;
        nint d = bench.Allocate<float>(128);
        IEnumerable<string> loads = Enumerable.Range(0, 10).Select(i => $"ld.global.b32 %r{i + 10}, [%rd11+{128 * i}];");
        IEnumerable<string> stores = Enumerable.Range(0, 4).Select(i => $"st.global.f32 [%rd12+{128 * i}], %f{i};");

        bench.Launch(
            $$"""
            add.u64 %rd11, %rd1, %rd10;
            add.u64 %rd12, %rd0, %rd10;
            {{string.Join('\n', loads)}}
            {{spelling}} {%f0, %f1, %f2, %f3}, {%r10, %r11, %r12, %r13}, {%r14, %r15}, {%r16, %r17, %r18, %r19};
            {{string.Join('\n', stores)}}
            """, Bench.Warp, d, bench.Upload(operands));

        var expected = new float[128];
        expected[(32 * dRegister) + dLane] = 6.25f;
        Assert.That(bench.Download<float>(d, 128), Is.EqualTo(expected));
    }

    /// <summary>Runs a warp and yields each lane's %r2.</summary>
    private static uint[] Run(string instructions)
    {
        using var bench = new Bench();
        nint d = bench.Allocate<uint>(32);
        bench.Launch($"{instructions}\nadd.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2;", Bench.Warp, d);
        return bench.Download<uint>(d, 32);
    }
}
