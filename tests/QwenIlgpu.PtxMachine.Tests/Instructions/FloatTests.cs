namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class FloatTests
{
    // PTX ISA 9.7.3, Floating Point Instructions, f32: to nearest even, subnormals kept without .ftz, the result's NaN is 0x7fffffff.
    [TestCase("add.f32", "f32 f32 f32",
        "1 2 = 3; 16777216 1 = 16777216; 16777218 1 = 16777220; inf -inf = nan; 0x7fc00001 1 = nan; 1 0xffc00000 = nan; -0 -0 = -0; 1 -1 = 0; -0 0 = 0; " +
        "0x00000001 0x00000001 = 0x00000002; 0x00800000 0x80000001 = 0x007fffff; 0x7f7fffff 0x7f7fffff = inf")]
    [TestCase("sub.f32", "f32 f32 f32",
        "1 1 = 0; -0 0 = -0; 0 0 = 0; inf inf = nan; 0x00800000 0x00000001 = 0x007fffff; 1 nan = nan; 2 5 = -3")]
    [TestCase("mul.f32", "f32 f32 f32",
        "3 4 = 12; 0x00800000 0.5 = 0x00400000; 0 inf = nan; -0 5 = -0; 1e30 1e30 = inf; 0x00000001 0.5 = 0; 0x00000003 0.5 = 0x00000002; " +
        "0x3f800001 0x3f800001 = 0x3f800002; 0xffffffff 1 = nan")]
    [TestCase("fma.rn.f32", "f32 f32 f32 f32",
        "2 3 4 = 10; 0x3f800001 0x3f800001 0xbf800002 = 0x28800000; inf 0 1 = nan; -0 0 -0 = -0; 1 1 -1 = 0; " +
        "0x00800000 0.5 0x00000001 = 0x00400001; nan 0 0 = nan; 0 0 0xffc00000 = nan")]
    [TestCase("div.rn.f32", "f32 f32 f32",
        "1 3 = 0x3eaaaaab; 7 -2 = -3.5; -1 0 = -inf; 0 0 = nan; 1 inf = 0; inf inf = nan; -0 5 = -0; 0x00800000 2 = 0x00400000; 0x00000001 2 = 0")]
    [TestCase("rcp.rn.f32", "f32 f32",
        "3 = 0x3eaaaaab; 4 = 0.25; 0 = inf; -0 = -inf; inf = 0; -inf = -0; 0x7f000000 = 0x00400000; nan = nan")]
    [TestCase("sqrt.rn.f32", "f32 f32", "4 = 2; 2 = 0x3fb504f3; -1 = nan; -0 = -0; 0x00000001 = 0x1a3504f3; inf = inf; nan = nan")]
    [TestCase("abs.f32", "f32 f32", "-1 = 1; 1 = 1; -0 = 0; -inf = inf; 0x80000001 = 0x00000001")]
    [TestCase("neg.f32", "f32 f32", "-1 = 1; 1 = -1; 0 = -0; -0 = 0; inf = -inf; 0x00000001 = 0x80000001")]
    [TestCase("max.f32", "f32 f32 f32",
        "1 2 = 2; nan 1 = 1; 1 nan = 1; nan nan = nan; -0 0 = 0; 0 -0 = 0; -inf -5 = -5; 0x00000001 0 = 0x00000001; -1 -2 = -1")]
    public void ComputesFloats(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // The same of f64, whose NaN is 0x7fffffffffffffff.
    [TestCase("add.f64", "f64 f64 f64", "1 2 = 3; 9007199254740992 1 = 9007199254740992; inf -inf = nan; -0 -0 = -0; 0x1 0x1 = 0x2")]
    [TestCase("sub.f64", "f64 f64 f64", "1 3 = -2; 0 0 = 0; inf inf = nan; 0x0010000000000000 0x1 = 0x000fffffffffffff")]
    [TestCase("mul.f64", "f64 f64 f64", "3 -4 = -12; 1e200 1e200 = inf; 0 inf = nan; 0x3 0.5 = 0x2")]
    [TestCase("fma.rn.f64", "f64 f64 f64 f64",
        "2 3 4 = 10; 0x3ff0000000000001 0x3ff0000000000001 0xbff0000000000002 = 0x3970000000000000; inf 0 1 = nan")]
    [TestCase("div.rn.f64", "f64 f64 f64", "1 3 = 0x3fd5555555555555; -1 0 = -inf; 0 0 = nan; 7 2 = 3.5")]
    [TestCase("sqrt.rn.f64", "f64 f64", "4 = 2; 2 = 0x3ff6a09e667f3bcd; -1 = nan; -0 = -0")]
    [TestCase("abs.f64", "f64 f64", "-1 = 1; -0 = 0; -inf = inf")]
    [TestCase("neg.f64", "f64 f64", "-1 = 1; 0 = -0; inf = -inf")]
    [TestCase("min.f64", "f64 f64 f64", "1 2 = 1; nan 1 = 1; 1 nan = 1; nan nan = nan; 0 -0 = -0; -0 0 = -0; -inf 5 = -inf")]
    [TestCase("max.f64", "f64 f64 f64", "1 2 = 2; nan 1 = 1; 1 nan = 1; nan nan = nan; 0 -0 = 0; -0 0 = 0; inf 5 = inf")]
    public void ComputesDoubles(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.3, ex2, lg2, rcp, rsqrt.approx: what the tables of special operands name, and powers of two. With .ftz subnormals are zeros.
    [TestCase("ex2.approx.f32",
        "0 = 1; 1 = 2; -1 = 0.5; 10 = 1024; 0.5 = 0x3fb504f3; -inf = 0; inf = inf; 128 = inf; -149 = 0x00000001; nan = nan; " +
        "0x80000001 = 1")]
    [TestCase("ex2.approx.ftz.f32", "0 = 1; 3 = 8; -126 = 0x00800000; -127 = 0; 0x80000001 = 1; -inf = 0; inf = inf; nan = nan")]
    [TestCase("lg2.approx.f32", "1 = 0; 8 = 3; 0.25 = -2; 0 = -inf; -0 = -inf; -1 = nan; inf = inf; 0x00000001 = -149; nan = nan")]
    [TestCase("rcp.approx.ftz.f32",
        "4 = 0.25; -2 = -0.5; 0 = inf; -0 = -inf; 0x00000001 = inf; 0x80000001 = -inf; 0x7f000000 = 0; inf = 0; -inf = -0; nan = nan")]
    [TestCase("rsqrt.approx.ftz.f32",
        "4 = 0.5; 0.25 = 2; 0 = inf; -0 = -inf; -1 = nan; inf = 0; 0x00000001 = inf; 0x80000001 = -inf; nan = nan")]
    public void Approximates(string spelling, string rows) => LaneTable.Check(spelling, "f32 f32", rows);

    // PTX ISA 9.7.4, Half Precision Floating Point Instructions: each half for itself, rounded once; NaN is 0x7fff.
    [TestCase("fma.rn.f16x2", "b32 b32 b32 b32",
        "0x3c004000 0x42004200 0x38004400 = 0x43004900; 0x3c013c01 0x3c013c01 0xbc02bc02 = 0x00100010; 0x7c003c00 0x00003c00 0x00007e01 = 0x7fff7fff")]
    [TestCase("fma.rn.bf16x2", "b32 b32 b32 b32",
        "0x3f804000 0x40404040 0x3f004080 = 0x40604120; 0x3f813f81 0x3f813f81 0xbf82bf82 = 0x38803880; 0x7f803f80 0x00003f80 0x00007fc1 = 0x7fff7fff")]
    [TestCase("sub.rn.f16x2", "b32 b32 b32",
        "0x3c007bff 0x4000fbff = 0xbc007c00; 0x7c000001 0x7c000002 = 0x7fff8001; 0x00003c01 0x80003c01 = 0")]
    public void ComputesPackedHalves(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);
}
