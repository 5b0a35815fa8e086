namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class ConversionTests
{
    // PTX ISA 9.7.9.21, cvt between integers: the lower bits, extended by the sign of what they are to the register's width.
    [TestCase("cvt.s16.s8", "s16 b16", "0x80 = -128; 0x7f = 127; 0x17f = 127; 0xff = -1")]
    [TestCase("cvt.s16.s32", "s16 s32", "-1 = -1; 65536 = 0; 32768 = -32768; 40000 = -25536")]
    [TestCase("cvt.s32.s8", "s32 b32", "0x80 = -128; 0x17f = 127; 0xff = -1")]
    [TestCase("cvt.s32.s8", "s32 b16", "0x80 = -128; 0x17f = 127; 0xff = -1")]
    [TestCase("cvt.s32.u8", "s32 b16", "0x80 = 128; 0x1ff = 255; 0x100 = 0")]
    [TestCase("cvt.s32.u8", "s32 b32", "0x80 = 128; 0xffffffff = 255")]
    [TestCase("cvt.s32.s16", "s32 s16", "-1 = -1; 32767 = 32767; -32768 = -32768")]
    [TestCase("cvt.s32.u16", "s32 u16", "0xffff = 65535; 0x8000 = 32768; 1 = 1")]
    [TestCase("cvt.s32.s64", "s32 s64", "4294967297 = 1; -1 = -1; 2147483648 = -2147483648")]
    [TestCase("cvt.s64.s8", "s64 b16", "0x80 = -128; 0x7f = 127")]
    [TestCase("cvt.s64.s16", "s64 s16", "-2 = -2; 32767 = 32767")]
    [TestCase("cvt.s64.s32", "s64 s32", "-1 = -1; 2147483647 = 2147483647; -2147483648 = -2147483648")]
    [TestCase("cvt.u8.u32", "b16 u32", "0x1ff = 0xff; 0x100 = 0; 0x7f = 0x7f")]
    [TestCase("cvt.u8.u32", "b32 u32", "0xffffffff = 0xff; 0x100 = 0")]
    [TestCase("cvt.u16.u32", "u16 u32", "0x12345678 = 0x5678; 0xffff0000 = 0")]
    [TestCase("cvt.u32.u16", "u32 u16", "0xffff = 65535; 7 = 7")]
    [TestCase("cvt.u32.u64", "u32 u64", "0x123456789abcdef0 = 0x9abcdef0; 7 = 7")]
    [TestCase("cvt.u64.u32", "u64 u32", "0xffffffff = 0xffffffff; 7 = 7")]
    [TestCase("cvta.to.global.u64", "u64 u64", "0x123456789abcdef0 = 0x123456789abcdef0; 0 = 0")]
    [TestCase("cvta.global.u64", "u64 u64", "0x123456789abcdef0 = 0x123456789abcdef0; 0 = 0")]
    public void ChangesTheWidth(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.9.21, cvt from floats to integers: beyond the range its nearest end; NaN is 0, and the highest bit alone where a side has
    // 64 bits.
    [TestCase("cvt.rzi.s32.f32", "s32 f32",
        "1.9 = 1; -1.9 = -1; -0.5 = 0; 2147483648 = 2147483647; -3e9 = -2147483648; inf = 2147483647; -inf = -2147483648; nan = 0; " +
        "0xffc00000 = 0; 0x00000001 = 0; 16777216 = 16777216")]
    [TestCase("cvt.rzi.s32.f64", "s32 f64",
        "1.9 = 1; -1.9 = -1; 2147483647.9 = 2147483647; 2147483648 = 2147483647; -1e300 = -2147483648; nan = -2147483648")]
    [TestCase("cvt.rzi.s64.f32", "s64 f32",
        "1.5 = 1; -1.5 = -1; 4294967296 = 4294967296; 1e19 = 9223372036854775807; -1e19 = -9223372036854775808; nan = -9223372036854775808")]
    [TestCase("cvt.rzi.s64.f64", "s64 f64",
        "1.5 = 1; -1.5 = -1; 9007199254740993 = 9007199254740992; 1e19 = 9223372036854775807; -inf = -9223372036854775808; nan = -9223372036854775808")]
    [TestCase("cvt.rzi.u64.f64", "u64 f64",
        "1.9 = 1; -1 = 0; 9223372036854775808 = 0x8000000000000000; 1e20 = 0xffffffffffffffff; -inf = 0; nan = 0x8000000000000000")]
    [TestCase("cvt.rmi.f64.f64", "f64 f64", "1.5 = 1; -1.5 = -2; -0 = -0; 2 = 2; inf = inf")]
    [TestCase("cvt.rpi.f64.f64", "f64 f64", "1.5 = 2; -1.5 = -1; -0.5 = -0; 2 = 2; -inf = -inf")]
    [TestCase("cvt.rzi.f64.f64", "f64 f64", "1.9 = 1; -1.9 = -1; -0.9 = -0; 2 = 2")]
    public void RoundsToIntegers(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.9.21, cvt to floats: to nearest, ties to even, rounded once.
    [TestCase("cvt.rn.f32.s32", "f32 s32",
        "0 = 0; 16777217 = 16777216; 16777219 = 16777220; -16777217 = -16777216; 2147483647 = 2147483648")]
    [TestCase("cvt.rn.f32.u32", "f32 u32", "0xffffffff = 4294967296; 0x80000000 = 2147483648; 16777217 = 16777216; 16777219 = 16777220")]
    [TestCase("cvt.rn.f32.s64", "f32 s64",
        "-1 = -1; 9007199791611905 = 0x5a000001; 9007199791611904 = 0x5a000000; 9223372036854775807 = 9223372036854775808")]
    [TestCase("cvt.rn.f64.s64", "f64 s64", "-1 = -1; 9007199254740993 = 9007199254740992; 9007199254740995 = 9007199254740996")]
    [TestCase("cvt.rn.f64.u32", "f64 u32", "0xffffffff = 4294967295; 0 = 0")]
    [TestCase("cvt.rn.f64.u64", "f64 u64",
        "0xffffffffffffffff = 18446744073709551616; 9007199254740993 = 9007199254740992; 0x8000000000000401 = 9223372036854777856; 0 = 0")]
    [TestCase("cvt.rn.f32.f64", "f32 f64",
        "0.1 = 0x3dcccccd; 1e300 = inf; 1e-46 = 0; -1e-46 = -0; 1e-40 = 0x000116c2; 1.000000059604644775390625 = 1; nan = nan; 0xfff8000000000001 = nan")]
    [TestCase("cvt.f64.f32", "f64 f32", "1.5 = 1.5; -0 = -0; 0x00000001 = 0x36a0000000000000; -inf = -inf; nan = nan; 0xffc00001 = nan")]
    public void RoundsToFloats(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // The same for halves; of a pair the first operand goes to the upper half.
    [TestCase("cvt.f32.f16", "f32 b16",
        "0x3c00 = 1; 0x0001 = 0x33800000; 0x8000 = -0; 0x7bff = 65504; 0x7c00 = inf; 0xfc00 = -inf; 0x7e01 = nan")]
    [TestCase("cvt.rn.f16x2.f32", "b32 f32 f32",
        "1 2 = 0x3c004000; 65520 65519 = 0x7c007bff; nan 0.1 = 0x7fff2e66; 0x33800000 -0 = 0x00018000; 0x33000000 -inf = 0x0000fc00")]
    [TestCase("cvt.rn.bf16x2.f32", "b32 f32 f32",
        "1 2 = 0x3f804000; nan -inf = 0x7fffff80; 0x3f808000 0x3f818000 = 0x3f803f82; 0x7f7fffff -0 = 0x7f808000")]
    public void ConvertsHalves(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.9, mov.
    [TestCase("mov.b16", "b16 b16", "0xffff = 0xffff; 7 = 7")]
    [TestCase("mov.b32", "b32 b32", "0xdeadbeef = 0xdeadbeef; 7 = 7")]
    [TestCase("mov.u32", "u32 u32", "0xdeadbeef = 0xdeadbeef; 7 = 7")]
    [TestCase("mov.f32", "f32 f32", "1.5 = 1.5; 0xffc00001 = 0xffc00001; 0x00000001 = 0x00000001")]
    [TestCase("mov.b64", "b64 b64", "0x123456789abcdef0 = 0x123456789abcdef0; 7 = 7")]
    [TestCase("mov.u64", "u64 u64", "0x123456789abcdef0 = 0x123456789abcdef0; 7 = 7")]
    [TestCase("mov.f64", "f64 f64", "1.5 = 1.5; -0 = -0")]
    public void Moves(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.9, mov: the first register of braces is the lower part.
    [Test]
    public void PacksAndUnpacks()
    {
        using var bench = new Bench();
        nint d = bench.Allocate<uint>(4);
        nint a = bench.Upload(0x11112222u, 0x33334444u);

        bench.Launch(
            """
            ld.global.b32 %r2, [%rd1];
            ld.global.b32 %r3, [%rd1+4];
            mov.b64 %rd2, {%r2, %r3};
            mov.b64 {%r4, %r5}, %rd2;
            mov.b32 {%h0, %h1}, %r4;
            mov.b32 %r6, {%h1, %h0};
            shr.u64 %rd3, %rd2, 16;
            cvt.u32.u64 %r7, %rd3;
            st.global.b32 [%rd0], %r4;
            st.global.b32 [%rd0+4], %r5;
            st.global.b32 [%rd0+8], %r6;
            st.global.b32 [%rd0+12], %r7;
            """, Bench.Line(1, 1), d, a);

        Assert.That(bench.Download<uint>(d, 4), Is.EqualTo(new[] { 0x11112222u, 0x33334444u, 0x22221111u, 0x44441111u }));
    }

    // A half of a pair that nothing wrote makes all of it undefined, and what comes out of that.
    [TestCase("mov.b64 %rd2, {%r2, %r40};\nmov.b64 {%r3, %r4}, %rd2;")]
    [TestCase("mov.b64 %rd2, {%r40, %r2};\nmov.b64 {%r3, %r4}, %rd2;")]
    [TestCase("mov.b32 %r3, {%h0, %h15};")]
    [TestCase("mov.b32 %r3, {%h15, %h0};")]
    public void APairIsAsUndefinedAsItsParts(string instructions)
    {
        using var bench = new Bench();
        string text = Bench.Text($"mov.b32 %r2, 1;\nmov.b16 %h0, 1;\n{instructions}\nst.global.b32 [%rd0], %r3; {Bench.Mark}", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Line(1, 1), bench.Allocate<uint>(1));

        Assert.That(faults.Select(f => (f.Kind, f.Line)), Is.EqualTo(new[] { (FaultKind.UndefinedValue, Bench.MarkedLine(text)) }));
    }
}
