namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class MemoryTests
{
    private const int RowBytes = 16;

    // PTX ISA 9.7.9, ld: what is narrower than its register is extended, by its sign where the type has one. Even lanes read bytes from 0x89
    // up, odd ones from 0x09 up.
    [TestCase("ld.global.b8", "b32", 0x89ul, 0x09ul)]
    [TestCase("ld.global.b8", "b16", 0x89ul, 0x09ul)]
    [TestCase("ld.global.u8", "b32", 0x89ul, 0x09ul)]
    [TestCase("ld.global.u8", "b64", 0x89ul, 0x09ul)]
    [TestCase("ld.global.s8", "b16", 0xff89ul, 0x09ul)]
    [TestCase("ld.global.s8", "b32", 0xffffff89ul, 0x09ul)]
    [TestCase("ld.global.s8", "b64", 0xffffffffffffff89ul, 0x09ul)]
    [TestCase("ld.global.b16", "b16", 0x8a89ul, 0x0a09ul)]
    [TestCase("ld.global.b16", "b32", 0x8a89ul, 0x0a09ul)]
    [TestCase("ld.global.s16", "b32", 0xffff8a89ul, 0x0a09ul)]
    [TestCase("ld.global.b32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.global.f32", "f32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.global.u32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.global.u32", "b64", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.global.s32", "b64", 0xffffffff8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.global.b64", "b64", 0x908f8e8d8c8b8a89ul, 0x100f0e0d0c0b0a09ul)]
    [TestCase("ld.global.u64", "b64", 0x908f8e8d8c8b8a89ul, 0x100f0e0d0c0b0a09ul)]
    [TestCase("ld.global.f64", "f64", 0x908f8e8d8c8b8a89ul, 0x100f0e0d0c0b0a09ul)]
    [TestCase("ld.volatile.global.u32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.shared.b32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.shared.u32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.shared.f32", "f32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    [TestCase("ld.shared.b64", "b64", 0x908f8e8d8c8b8a89ul, 0x100f0e0d0c0b0a09ul)]
    [TestCase("ld.shared.f64", "f64", 0x908f8e8d8c8b8a89ul, 0x100f0e0d0c0b0a09ul)]
    [TestCase("ld.shared.s8", "b32", 0xffffff89ul, 0x09ul)]
    [TestCase("ld.shared.b16", "b16", 0x8a89ul, 0x0a09ul)]
    [TestCase("ld.volatile.shared.u32", "b32", 0x8c8b8a89ul, 0x0c0b0a09ul)]
    public void Loads(string spelling, string register, ulong even, ulong odd)
    {
        using var bench = new Bench();
        nint d = bench.Upload(new ulong[64]);

        bench.Launch(
            $$"""
            {{Rows}}
            .reg .{{register}} v;
            {{spelling}} v, [{{Row(spelling)}}+8];
            st.global.{{register}} [%rd12], v;
            """, Bench.Warp, d, Upload(bench));

        Assert.That(bench.Download<ulong>(d, 64).Where((_, i) => i % 2 == 0), Is.EqualTo(Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? even : odd)));
    }

    // The same of vectors: the first register is the first in memory.
    [TestCase("ld.global.v2.b32", 2)]
    [TestCase("ld.global.v2.f32", 2)]
    [TestCase("ld.global.v4.b32", 4)]
    [TestCase("ld.global.v4.u32", 4)]
    [TestCase("ld.global.v4.f32", 4)]
    [TestCase("ld.global.nc.L1::no_allocate.v4.u32", 4)]
    [TestCase("ld.shared.v2.b32", 2)]
    [TestCase("ld.shared.v4.b32", 4)]
    [TestCase("ld.shared.v4.f32", 4)]
    public void LoadsVectors(string spelling, int count)
    {
        using var bench = new Bench();
        nint d = bench.Upload(new uint[128]);
        string registers = count == 2 ? "{v0, v1}" : "{v0, v1, v2, v3}";
        IEnumerable<string> stores = Enumerable.Range(0, count).Select(i => $"st.global.b32 [%rd12+{4 * i}], v{i};");

        bench.Launch(
            $"{Rows}\n.reg .b32 v<4>;\n{spelling} {registers}, [{Row(spelling)}];\n{string.Join('\n', stores)}", Bench.Warp, d, Upload(bench));

        uint[] even = [0x84838281, 0x88878685, 0x8c8b8a89, 0x908f8e8d];
        uint[] odd = [0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d];
        uint[] zeros = new uint[4 - count];
        Assert.That(
            bench.Download<uint>(d, 128), Is.EqualTo(Enumerable.Range(0, 32).SelectMany(i => (i % 2 == 0 ? even : odd).Take(count).Concat(zeros))));
    }

    // PTX ISA 9.7.9, st: as many bytes as the type has, and no others.
    [TestCase("st.global.b8", "b16", 0xeeeeeeeeeeeeee88ul)]
    [TestCase("st.global.b8", "b32", 0xeeeeeeeeeeeeee88ul)]
    [TestCase("st.global.u8", "b16", 0xeeeeeeeeeeeeee88ul)]
    [TestCase("st.global.b16", "b16", 0xeeeeeeeeeeee7788ul)]
    [TestCase("st.global.b32", "b32", 0xeeeeeeee55667788ul)]
    [TestCase("st.global.u32", "b32", 0xeeeeeeee55667788ul)]
    [TestCase("st.global.f32", "f32", 0xeeeeeeee55667788ul)]
    [TestCase("st.global.b64", "b64", 0x1122334455667788ul)]
    [TestCase("st.global.u64", "b64", 0x1122334455667788ul)]
    [TestCase("st.global.f64", "f64", 0x1122334455667788ul)]
    [TestCase("st.shared.b8", "b16", 0xeeeeeeeeeeeeee88ul)]
    [TestCase("st.shared.b16", "b16", 0xeeeeeeeeeeee7788ul)]
    [TestCase("st.shared.b32", "b32", 0xeeeeeeee55667788ul)]
    [TestCase("st.shared.u32", "b32", 0xeeeeeeee55667788ul)]
    [TestCase("st.shared.f32", "f32", 0xeeeeeeee55667788ul)]
    [TestCase("st.shared.b64", "b64", 0x1122334455667788ul)]
    [TestCase("st.shared.f64", "f64", 0x1122334455667788ul)]
    [TestCase("st.volatile.shared.u32", "b32", 0xeeeeeeee55667788ul)]
    public void Stores(string spelling, string register, ulong expected)
    {
        using var bench = new Bench();
        nint d = bench.Upload([.. Enumerable.Repeat(0xeeeeeeeeeeeeeeeeul, 64)]);
        nint a = bench.Upload([.. Enumerable.Repeat(0x1122334455667788ul, 64)]);
        bool isShared = Row(spelling) == "%r20";
        string value = register == "b16" ? "b16" : register[1..] == "64" ? "b64" : "b32";

        bench.Launch(
            $$"""
            {{Rows}}
            .reg .{{register}} v;
            ld.global.{{value}} v, [%rd11];
            st.shared.b64 [%r20], 0xeeeeeeeeeeeeeeee;
            {{spelling}} [{{(isShared ? "%r20" : "%rd12")}}], v;
            ld.shared.b64 %rd13, [%r20];
            {{(isShared ? "st.global.b64 [%rd12], %rd13;" : "")}}
            """, Bench.Warp, d, a);

        Assert.That(bench.Download<ulong>(d, 64), Is.EqualTo(Enumerable.Range(0, 64).Select(i => i % 2 == 0 ? expected : 0xeeeeeeeeeeeeeeeeul)));
    }

    [TestCase("st.global.v2.b32", 2)]
    [TestCase("st.global.v2.f32", 2)]
    [TestCase("st.global.v4.b32", 4)]
    [TestCase("st.global.v4.f32", 4)]
    [TestCase("st.shared.v4.b32", 4)]
    [TestCase("st.shared.v4.u32", 4)]
    [TestCase("st.shared.v4.f32", 4)]
    public void StoresVectors(string spelling, int count)
    {
        using var bench = new Bench();
        nint d = bench.Upload(new uint[128]);
        bool isShared = Row(spelling) == "%r20";

        bench.Launch(
            $$"""
            {{Rows}}
            add.s32 %r2, %r0, 100;
            add.s32 %r3, %r0, 200;
            add.s32 %r4, %r0, 300;
            {{spelling}} [{{(isShared ? "%r20" : "%rd12")}}], {{(count == 2 ? "{%r2, %r3}" : "{%r2, %r3, %r4, 7}")}};
            ld.shared.v4.b32 {%r5, %r6, %r7, %r8}, [%r20];
            {{(isShared ? "st.global.v4.b32 [%rd12], {%r5, %r6, %r7, %r8};" : "")}}
            """, Bench.Warp, d, Upload(bench));

        Assert.That(
            bench.Download<uint>(d, 128),
            Is.EqualTo(Enumerable.Range(0, 32).SelectMany(i => count == 2 ? new[] { i + 100, i + 200, 0, 0 } : [i + 100, i + 200, i + 300, 7])));
    }

    // PTX ISA 5.2 and 9.7.9, ld.param: each parameter at a multiple of its alignment.
    [Test]
    public void LoadsParameters()
    {
        const string Text =
            """
            .version 8.4
            .target sm_80
            .address_size 64
            .visible .entry Kernel(.param .u64 d, .param .u16 h, .param .b32 w, .param .align 8 .b8 q[16])
            {
            .reg .b16 %h<2>;
            .reg .b32 %r<8>;
            .reg .f32 %f<2>;
            .reg .b64 %rd<4>;
            ld.param.u64 %rd0, [d];
            ld.param.u16 %h0, [h];
            ld.param.u32 %r0, [w];
            ld.param.b32 %r1, [w];
            ld.param.f32 %f0, [q+4];
            ld.param.b64 %rd1, [q+8];
            st.global.b16 [%rd0], %h0;
            st.global.b32 [%rd0+4], %r0;
            st.global.b32 [%rd0+8], %r1;
            st.global.f32 [%rd0+12], %f0;
            st.global.b64 [%rd0+16], %rd1;
            ret;
            }
            """;
        using var bench = new Bench();
        nint d = bench.Upload(new uint[6]);

        bench.Launch(
            Text, "Kernel", Bench.Line(1, 1), [d, unchecked((nint)0x8765_4321_eeee_9abc), unchecked((nint)0x3fc0_0000_eeee_eeee), unchecked((nint)0xfedc_ba98_7654_3210)]);

        Assert.That(bench.Download<uint>(d, 6), Is.EqualTo(new[] { 0x9abcu, 0x87654321u, 0x87654321u, 0x3fc00000u, 0x76543210u, 0xfedcba98u }));
    }

    // PTX ISA 9.7.9, prefetch: a hint may name any address, and what nothing wrote stays so.
    [Test]
    public void PrefetchDoesNothing()
    {
        using var bench = new Bench();
        string text = Bench.Text("prefetch.global.L2 [%rd0];\nprefetch.global.L2 [%rd0+4096];", 1);

        Assert.That(bench.FaultsOf(text, Bench.Warp, bench.Allocate<uint>(4)), Is.Empty);
    }

    // PTX ISA 9.7.13, atom and red: each lane on a word of its own; the result is what was there.
    [TestCase("atom.global.add.u32", 0xffffffffu, "2", 1u)]
    [TestCase("atom.acq_rel.gpu.global.add.u32", 5u, "7", 12u)]
    [TestCase("atom.acq_rel.gpu.global.add.s32", 5u, "-7", 0xfffffffeu)]
    [TestCase("atom.global.add.f32", 0x3fc00000u, "0f40100000", 0x40700000u)]
    [TestCase("atom.global.add.f32", 0x7f800000u, "0fff800000", 0x7fffffffu)]
    [TestCase("atom.global.inc.u32", 4u, "5", 5u)]
    [TestCase("atom.global.inc.u32", 5u, "5", 0u)]
    [TestCase("atom.global.inc.u32", 9u, "5", 0u)]
    [TestCase("atom.global.max.s32", 0xffffffffu, "3", 3u)]
    [TestCase("atom.global.max.s32", 3u, "-1", 3u)]
    [TestCase("atom.global.min.s32", 3u, "-1", 0xffffffffu)]
    [TestCase("atom.global.max.u32", 3u, "-1", 0xffffffffu)]
    [TestCase("atom.global.cas.b32", 3u, "3, 9", 9u)]
    [TestCase("atom.global.cas.b32", 4u, "3, 9", 4u)]
    [TestCase("atom.global.exch.b32", 4u, "3", 3u)]
    [TestCase("atom.shared.add.u32", 0xffffffffu, "2", 1u)]
    [TestCase("atom.relaxed.cta.shared.add.s32", 5u, "-7", 0xfffffffeu)]
    public void AtomicsGiveWhatWasThere(string spelling, uint before, string operands, uint after)
    {
        using var bench = new Bench();
        nint d = bench.Upload([.. Enumerable.Repeat(before, 32)]);
        nint old = bench.Allocate<uint>(32);
        bool isShared = spelling.Contains("shared", StringComparison.Ordinal);

        bench.Launch(
            $$"""
            .shared .align 4 .b8 s[128];
            mov.u32 %r20, s;
            shl.b32 %r2, %r0, 2;
            add.u32 %r20, %r20, %r2;
            add.u64 %rd11, %rd0, %rd10;
            add.u64 %rd12, %rd1, %rd10;
            ld.global.b32 %r3, [%rd11];
            st.shared.b32 [%r20], %r3;
            {{spelling}} %r4, [{{(isShared ? "%r20" : "%rd11")}}], {{operands}};
            ld.shared.b32 %r5, [%r20];
            st.global.b32 [%rd12], %r4;
            {{(isShared ? "st.global.b32 [%rd11], %r5;" : "")}}
            """, Bench.Warp, d, old);

        Assert.That(bench.Download<uint>(old, 32), Is.All.EqualTo(before));
        Assert.That(bench.Download<uint>(d, 32), Is.All.EqualTo(after));
    }

    [Test]
    public void AtomicsOfOneWordComeOneAfterAnother()
    {
        using var bench = new Bench();
        nint d = bench.Upload(100ul, 10ul);
        nint old = bench.Allocate<uint>(256);

        bench.Launch(
            """
            mad.lo.s32 %r2, %r1, 64, %r0;
            mul.wide.u32 %rd11, %r2, 4;
            add.u64 %rd11, %rd1, %rd11;
            red.relaxed.gpu.global.add.u64 [%rd0], 4294967296;
            membar.gl;
            atom.global.add.u32 %r3, [%rd0+8], 1;
            st.global.b32 [%rd11], %r3;
            """, Bench.Line(4, 64), d, old);

        Assert.That(bench.Download<ulong>(d, 2), Is.EqualTo(new[] { 100 + (256ul << 32), 266ul }));
        Assert.That(bench.Download<uint>(old, 256).Order(), Is.EqualTo(Enumerable.Range(10, 256)));
    }

    // Shared memory holds a's row.
    private const string Rows = Bench.Rows +
        """

        ld.global.v4.b32 {%r22, %r23, %r24, %r25}, [%rd11];
        st.shared.v4.b32 [%r20], {%r22, %r23, %r24, %r25};
        """;

    private static nint Upload(Bench bench) =>
        bench.Upload([.. Enumerable.Range(0, 32 * RowBytes).Select(i => (byte)((i / RowBytes % 2 == 0 ? 0x81 : 0x01) + (i % RowBytes)))]);

    private static string Row(string spelling) => spelling.Contains("shared", StringComparison.Ordinal) ? "%r20" : "%rd11";
}
