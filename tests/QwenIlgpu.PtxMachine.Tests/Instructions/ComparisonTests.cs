namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class ComparisonTests
{
    // PTX ISA 9.7.6, Comparison and Selection Instructions: setp of integers; lo, ls, hi, hs are the unsigned names.
    [TestCase("setp.eq.b32", "pred b32 b32", "1 1 = 1; 0x80000000 0 = 0; 0xffffffff 0xffffffff = 1")]
    [TestCase("setp.eq.u32", "pred u32 u32", "1 1 = 1; 0x80000000 0 = 0")]
    [TestCase("setp.eq.s16", "pred s16 s16", "-1 -1 = 1; -1 1 = 0; 0 0 = 1")]
    [TestCase("setp.eq.s32", "pred s32 s32", "-1 -1 = 1; -1 1 = 0")]
    [TestCase("setp.eq.s64", "pred s64 s64", "-1 -1 = 1; 4294967296 0 = 0")]
    [TestCase("setp.ne.s16", "pred s16 s16", "-1 -1 = 0; -1 1 = 1")]
    [TestCase("setp.ne.s32", "pred s32 s32", "5 5 = 0; 5 -5 = 1")]
    [TestCase("setp.ne.u32", "pred u32 u32", "5 5 = 0; 5 4 = 1")]
    [TestCase("setp.ne.s64", "pred s64 s64", "5 5 = 0; 4294967301 5 = 1")]
    [TestCase("setp.ne.u64", "pred u64 u64", "5 5 = 0; 4294967301 5 = 1")]
    [TestCase("setp.lt.s32", "pred s32 s32", "-1 0 = 1; 0 -1 = 0; 3 3 = 0; -2147483648 2147483647 = 1")]
    [TestCase("setp.lt.u32", "pred u32 u32", "0xffffffff 0 = 0; 0 0xffffffff = 1; 3 3 = 0")]
    [TestCase("setp.lt.s64", "pred s64 s64", "-1 0 = 1; 4294967296 1 = 0; 3 3 = 0")]
    [TestCase("setp.le.s32", "pred s32 s32", "-1 0 = 1; 0 -1 = 0; 3 3 = 1")]
    [TestCase("setp.le.s64", "pred s64 s64", "-4294967296 0 = 1; 0 -1 = 0; 3 3 = 1")]
    [TestCase("setp.gt.s16", "pred s16 s16", "1 -1 = 1; -1 1 = 0; 3 3 = 0")]
    [TestCase("setp.gt.s32", "pred s32 s32", "1 -1 = 1; -1 1 = 0; 3 3 = 0")]
    [TestCase("setp.gt.u32", "pred u32 u32", "1 0xffffffff = 0; 0xffffffff 1 = 1; 3 3 = 0")]
    [TestCase("setp.gt.s64", "pred s64 s64", "1 -1 = 1; -1 1 = 0; 3 3 = 0")]
    [TestCase("setp.ge.s32", "pred s32 s32", "1 -1 = 1; -1 1 = 0; 3 3 = 1")]
    [TestCase("setp.ge.s64", "pred s64 s64", "4294967296 5 = 1; -1 1 = 0; 3 3 = 1")]
    [TestCase("setp.lo.u32", "pred u32 u32", "0xffffffff 0 = 0; 0 0xffffffff = 1; 3 3 = 0")]
    [TestCase("setp.ls.u32", "pred u32 u32", "0xffffffff 0 = 0; 0 0xffffffff = 1; 3 3 = 1")]
    [TestCase("setp.hi.u32", "pred u32 u32", "0xffffffff 0 = 1; 0 0xffffffff = 0; 3 3 = 0")]
    [TestCase("setp.hs.u32", "pred u32 u32", "0xffffffff 0 = 1; 0 0xffffffff = 0; 3 3 = 1")]
    [TestCase("setp.lo.u64", "pred u64 u64", "0xffffffffffffffff 0 = 0; 5 4294967296 = 1; 3 3 = 0")]
    [TestCase("setp.ls.u64", "pred u64 u64", "0xffffffffffffffff 0 = 0; 5 4294967296 = 1; 3 3 = 1")]
    [TestCase("setp.hi.u64", "pred u64 u64", "0xffffffffffffffff 0 = 1; 5 4294967296 = 0; 3 3 = 0")]
    [TestCase("setp.hs.u64", "pred u64 u64", "0xffffffffffffffff 0 = 1; 5 4294967296 = 0; 3 3 = 1")]
    public void ComparesIntegers(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // The same of floats: eq, ne, lt, le, gt, ge are false with NaN; equ, neu, ltu, leu, gtu, geu are true; nan asks for one.
    [TestCase("setp.eq.f32", "pred f32 f32", "1 1 = 1; 0 -0 = 1; nan nan = 0; 1 nan = 0; inf inf = 1; 0x00000001 0 = 0")]
    [TestCase("setp.neu.f32", "pred f32 f32", "1 1 = 0; 0 -0 = 0; nan nan = 1; 1 nan = 1; 1 2 = 1")]
    [TestCase("setp.lt.f32", "pred f32 f32", "1 2 = 1; -1 -2 = 0; -0 0 = 0; nan 1 = 0; 1 nan = 0; 0 0x00000001 = 1")]
    [TestCase("setp.ltu.f32", "pred f32 f32", "1 2 = 1; -1 -2 = 0; 1 1 = 0; nan 1 = 1; 1 nan = 1")]
    [TestCase("setp.leu.f32", "pred f32 f32", "1 2 = 1; 2 1 = 0; 1 1 = 1; nan 1 = 1; 1 nan = 1")]
    [TestCase("setp.gt.f32", "pred f32 f32", "2 1 = 1; 1 2 = 0; 0 -0 = 0; nan 1 = 0; 1 nan = 0; inf 3e38 = 1")]
    [TestCase("setp.gtu.f32", "pred f32 f32", "2 1 = 1; 1 2 = 0; 1 1 = 0; nan 1 = 1; 1 nan = 1")]
    [TestCase("setp.ge.f32", "pred f32 f32", "2 1 = 1; 1 2 = 0; -0 0 = 1; nan 1 = 0; 1 nan = 0")]
    [TestCase("setp.geu.f32", "pred f32 f32", "2 1 = 1; 1 2 = 0; 1 1 = 1; nan 1 = 1; 1 nan = 1")]
    [TestCase("setp.nan.f32", "pred f32 f32", "2 1 = 0; inf -inf = 0; nan 1 = 1; 1 0xffc00001 = 1")]
    [TestCase("setp.eq.f64", "pred f64 f64", "1 1 = 1; 0 -0 = 1; nan nan = 0; 1 nan = 0")]
    [TestCase("setp.lt.f64", "pred f64 f64", "1 2 = 1; 2 1 = 0; nan 1 = 0; 1 nan = 0")]
    [TestCase("setp.gt.f64", "pred f64 f64", "2 1 = 1; 1 2 = 0; nan 1 = 0; 1 nan = 0")]
    [TestCase("setp.ge.f64", "pred f64 f64", "2 1 = 1; 1 1 = 1; 1 2 = 0; nan 1 = 0")]
    [TestCase("setp.geu.f64", "pred f64 f64", "2 1 = 1; 1 1 = 1; 1 2 = 0; nan 1 = 1")]
    [TestCase("setp.nan.f64", "pred f64 f64", "2 1 = 0; nan 1 = 1; 1 nan = 1")]
    public void ComparesFloats(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // The same, joined with a third predicate.
    [TestCase("setp.ge.or.s32", "1 2 0 = 0; 1 2 1 = 1; 2 2 0 = 1; 2 -2 1 = 1")]
    [TestCase("setp.ge.and.s32", "1 2 0 = 0; 1 2 1 = 0; 2 2 0 = 0; 2 -2 1 = 1")]
    [TestCase("setp.ge.xor.s32", "1 2 0 = 0; 1 2 1 = 1; 2 2 0 = 1; 2 -2 1 = 0")]
    public void JoinsAThirdPredicate(string spelling, string rows) => LaneTable.Check(spelling, "pred s32 s32 pred", rows);

    // Of a pair the second predicate is the opposite comparison, joined with the same third one.
    [TestCase("setp.lt.u32 %p1|%p2, %r0, 8;", 0x000000ffu, 0xffffff00u)]
    [TestCase("setp.lt.or.u32 %p1|%p2, %r0, 8, %p3;", 0xff0000ffu, 0xffffff00u)]
    [TestCase("setp.lt.and.u32 %p1|%p2, %r0, 8, %p3;", 0u, 0xff000000u)]
    [TestCase("setp.lt.xor.u32 %p1|%p2, %r0, 8, %p3;", 0xff0000ffu, 0x00ffff00u)]
    public void MakesTheOppositeToo(string instruction, uint first, uint second)
    {
        using var bench = new Bench();
        nint d = bench.Allocate<uint>(32);

        bench.Launch(
            $"setp.ge.u32 %p3, %r0, 24;\n{instruction}\nselp.b32 %r2, 1, 0, %p1;\nselp.b32 %r3, 2, 0, %p2;\nor.b32 %r2, %r2, %r3;\n" +
            "add.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2;", Bench.Warp, d);

        Assert.That(
            bench.Download<uint>(d, 32), Is.EqualTo(Enumerable.Range(0, 32).Select(i => (first >> i & 1) + (2 * (second >> i & 1)))));
    }

    // PTX ISA 9.7.6, selp: the other operand may be anything.
    [TestCase("selp.b32", "b32 b32 b32 pred", "1 2 1 = 1; 1 2 0 = 2; 0xffffffff 0 1 = 0xffffffff")]
    [TestCase("selp.s32", "s32 s32 s32 pred", "-1 2 1 = -1; 1 -2 0 = -2")]
    [TestCase("selp.u32", "u32 u32 u32 pred", "16 0 1 = 16; 16 0 0 = 0")]
    [TestCase("selp.b64", "b64 b64 b64 pred", "0x100000001 2 1 = 0x100000001; 1 0x200000002 0 = 0x200000002")]
    [TestCase("selp.u64", "u64 u64 u64 pred", "0x100000001 2 1 = 0x100000001; 1 0x200000002 0 = 0x200000002")]
    [TestCase("selp.f64", "f64 f64 f64 pred", "1.5 -2.5 1 = 1.5; 1.5 -2.5 0 = -2.5")]
    public void Selects(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows, isTainted: false);

    // PTX ISA 9.7.8, and, or, xor, not of predicates; 9.7.9, mov. What one operand of and, or decides, the other need not.
    [TestCase("and.pred", "pred pred pred", "0 0 = 0; 0 1 = 0; 1 0 = 0; 1 1 = 1", false)]
    [TestCase("or.pred", "pred pred pred", "0 0 = 0; 0 1 = 1; 1 0 = 1; 1 1 = 1", false)]
    [TestCase("and.pred", "pred pred pred", "1 1 = 1", true)]
    [TestCase("or.pred", "pred pred pred", "0 0 = 0", true)]
    [TestCase("xor.pred", "pred pred pred", "0 0 = 0; 0 1 = 1; 1 0 = 1; 1 1 = 0", true)]
    [TestCase("not.pred", "pred pred", "0 = 1; 1 = 0", true)]
    [TestCase("mov.pred", "pred pred", "0 = 0; 1 = 1", true)]
    public void CombinesPredicates(string spelling, string types, string rows, bool isTainted) =>
        LaneTable.Check(spelling, types, rows, isTainted: isTainted);

    // Only what was chosen, or decides, must be defined: %r40 and %p15 nothing writes.
    [TestCase("setp.lt.u32 %p1, %r0, 32;\nselp.b32 %r2, 5, %r40, %p1;", true)]
    [TestCase("setp.lt.u32 %p1, %r0, 31;\nselp.b32 %r2, 5, %r40, %p1;", false)]
    [TestCase("setp.lt.u32 %p1, %r0, 0;\nselp.b32 %r2, %r40, 5, %p1;", true)]
    [TestCase("setp.lt.u32 %p1, %r0, 1;\nselp.b32 %r2, %r40, 5, %p1;", false)]
    [TestCase("selp.b32 %r2, 5, 5, %p15;", false)]
    [TestCase("setp.lt.u32 %p1, %r0, 0;\nand.pred %p1, %p15, %p1;\nselp.b32 %r2, 5, 6, %p1;", true)]
    [TestCase("setp.lt.u32 %p1, %r0, 1;\nand.pred %p1, %p15, %p1;\nselp.b32 %r2, 5, 6, %p1;", false)]
    [TestCase("setp.lt.u32 %p1, %r0, 32;\nor.pred %p1, %p1, %p15;\nselp.b32 %r2, 5, 6, %p1;", true)]
    [TestCase("setp.lt.u32 %p1, %r0, 31;\nor.pred %p1, %p1, %p15;\nselp.b32 %r2, 5, 6, %p1;", false)]
    public void WhatIsNotChosenMayBeUndefined(string instructions, bool isDefined)
    {
        using var bench = new Bench();
        string text = Bench.Text($"{instructions}\nadd.u64 %rd11, %rd0, %rd10;\nst.global.b32 [%rd11], %r2; {Bench.Mark}", 1);

        IReadOnlyList<Fault> faults = bench.FaultsOf(text, Bench.Warp, bench.Allocate<uint>(32));

        Assert.That(
            faults.Select(f => (f.Kind, f.Line)),
            Is.EqualTo(isDefined ? [] : new[] { (FaultKind.UndefinedValue, Bench.MarkedLine(text)) }));
    }
}
