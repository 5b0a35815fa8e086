namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class IntegerTests
{
    // PTX ISA 9.7.1, Integer Arithmetic Instructions: add, sub, mul, mad.
    [TestCase("add.s16", "s16 s16 s16", "32767 1 = -32768; -1 1 = 0; 300 -301 = -1")]
    [TestCase("add.s32", "s32 s32 s32", "1 2 = 3; 2147483647 1 = -2147483648; -1 1 = 0; -5 -7 = -12")]
    [TestCase("add.s64", "s64 s64 s64", "9223372036854775807 1 = -9223372036854775808; 4294967295 1 = 4294967296; -1 -1 = -2")]
    [TestCase("add.u64", "u64 u64 u64", "0xffffffffffffffff 2 = 1; 0xffffffff 1 = 0x100000000; 0 0 = 0")]
    [TestCase("sub.s16", "s16 s16 s16", "-32768 1 = 32767; 5 9 = -4; 0 0 = 0")]
    [TestCase("sub.s32", "s32 s32 s32", "-2147483648 1 = 2147483647; 3 5 = -2; 5 3 = 2")]
    [TestCase("sub.s64", "s64 s64 s64", "0 1 = -1; -9223372036854775808 1 = 9223372036854775807; 4294967296 1 = 4294967295")]
    [TestCase("mul.lo.s32", "s32 s32 s32", "3 -4 = -12; 65536 65536 = 0; 65537 65537 = 131073; -1 -1 = 1")]
    [TestCase("mul.lo.s64", "s64 s64 s64", "4294967296 4294967296 = 0; -3 5 = -15; 4294967297 4294967297 = 8589934593")]
    [TestCase("mul.hi.s32", "s32 s32 s32", "-1 1 = -1; -2147483648 -2147483648 = 1073741824; 65536 65536 = 1; 2147483647 2 = 0; -1 -1 = 0")]
    [TestCase("mul.hi.u64", "u64 u64 u64",
        "0xffffffffffffffff 0xffffffffffffffff = 0xfffffffffffffffe; 0x100000000 0x100000000 = 1; 0x8000000000000000 2 = 1; 3 5 = 0")]
    [TestCase("mul.wide.s32", "s64 s32 s32",
        "-1 4 = -4; -2147483648 -2147483648 = 4611686018427387904; 2147483647 -2 = -4294967294; -3 -5 = 15")]
    [TestCase("mul.wide.u32", "u64 u32 u32",
        "0xffffffff 4 = 0x3fffffffc; 0x80000000 0x80000000 = 0x4000000000000000; 0xffffffff 0xffffffff = 0xfffffffe00000001; 7 4 = 28")]
    [TestCase("mad.lo.s32", "s32 s32 s32 s32", "3 4 5 = 17; -3 4 5 = -7; 65536 65536 -1 = -1; 2147483647 1 1 = -2147483648")]
    [TestCase("mad.lo.u64", "u64 u64 u64 u64", "0xffffffff 4 0x10 = 0x40000000c; 0x8000000000000000 2 7 = 7; 3 5 1 = 16")]
    public void AddsAndMultiplies(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.1.8 and 9.7.1.9, div and rem: toward zero, the remainder of the dividend's sign. What a zero gives is left open there.
    [TestCase("div.s32", "s32 s32 s32",
        "7 2 = 3; -7 2 = -3; 7 -2 = -3; -7 -2 = 3; -2147483648 2 = -1073741824; -1 2 = 0; 1 2147483647 = 0; 7 0 = -1")]
    [TestCase("div.u32", "u32 u32 u32",
        "7 2 = 3; 0xffffffff 2 = 0x7fffffff; 0xfffffff9 0xfffffffe = 0; 0x80000000 0xffffffff = 0; 7 0 = 0xffffffff")]
    [TestCase("div.u64", "u64 u64 u64",
        "0xffffffffffffffff 10 = 1844674407370955161; 0x100000000 0x10000 = 0x10000; 5 0xffffffffffffffff = 0")]
    [TestCase("rem.s32", "s32 s32 s32", "7 2 = 1; -7 2 = -1; 7 -2 = 1; -7 -2 = -1; -8 4 = 0; -2147483648 10 = -8; -2147483648 -1 = 0")]
    [TestCase("rem.s64", "s64 s64 s64",
        "-7 2 = -1; 7 -2 = 1; -9223372036854775808 10 = -8; 10000000000 7 = 4; -9223372036854775808 -1 = 0")]
    [TestCase("rem.u32", "u32 u32 u32", "7 2 = 1; 0xffffffff 10 = 5; 0x80000000 3 = 2")]
    public void Divides(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.1, abs, neg, min, max.
    [TestCase("abs.s32", "s32 s32", "5 = 5; -5 = 5; 0 = 0; -2147483648 = -2147483648")]
    [TestCase("neg.s32", "s32 s32", "5 = -5; -5 = 5; 0 = 0; -2147483648 = -2147483648")]
    [TestCase("min.s32", "s32 s32 s32", "3 -4 = -4; -2147483648 2147483647 = -2147483648; 5 5 = 5")]
    [TestCase("max.s32", "s32 s32 s32", "3 -4 = 3; -2147483648 2147483647 = 2147483647; -1 0 = 0")]
    [TestCase("min.s64", "s64 s64 s64", "4294967296 -1 = -1; 4294967296 1 = 1; -9223372036854775808 0 = -9223372036854775808")]
    public void ChoosesByMagnitude(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.1, popc, clz, brev, bfe.
    [TestCase("popc.b32", "u32 b32", "0 = 0; 0xffffffff = 32; 0x80000001 = 2; 0xf0f0f0f0 = 16")]
    [TestCase("popc.b64", "u32 b64", "0xffffffffffffffff = 64; 0x8000000000000001 = 2; 0 = 0")]
    [TestCase("clz.b64", "u32 b64", "0 = 64; 1 = 63; 0x8000000000000000 = 0; 0xffffffff = 32")]
    [TestCase("brev.b64", "b64 b64", "1 = 0x8000000000000000; 0xf0 = 0x0f00000000000000; 0x0123456789abcdef = 0xf7b3d591e6a2c480")]
    [TestCase("bfe.u64", "u64 u64 u32 u32",
        "0x0123456789abcdef 8 16 = 0xabcd; 0x0123456789abcdef 0 64 = 0x0123456789abcdef; 0xf000000000000000 60 8 = 15; " +
        "0xffffffffffffffff 4 0 = 0; 0xffffffffffffffff 64 8 = 0")]
    public void CountsAndTakesBits(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // PTX ISA 9.7.8, shl, shr: counts beyond the width are the width. shf.wrap takes them modulo 32.
    [TestCase("shl.b32", "b32 b32 u32",
        "1 31 = 0x80000000; 1 32 = 0; 1 33 = 0; 1 64 = 0; 0xdeadbeef 0 = 0xdeadbeef; 3 4 = 48; 1 0xffffffff = 0")]
    [TestCase("shl.b64", "b64 b64 u32",
        "1 31 = 0x80000000; 1 32 = 0x100000000; 1 33 = 0x200000000; 1 63 = 0x8000000000000000; 1 64 = 0; 1 65 = 0; 5 0 = 5; 1 0xffffffff = 0")]
    [TestCase("shr.s16", "s16 s16 u32", "-32768 15 = -1; -32768 16 = -1; 0x4000 14 = 1; 32767 16 = 0; -4 1 = -2; -4 64 = -1; -4 0 = -4")]
    [TestCase("shr.u16", "u16 u16 u32", "0x8000 15 = 1; 0xffff 16 = 0; 0xfffc 1 = 0x7ffe; 0xffff 33 = 0; 0xffff 0 = 0xffff")]
    [TestCase("shr.s32", "s32 s32 u32",
        "-8 1 = -4; -1 31 = -1; -1 32 = -1; -1 33 = -1; 0x7fffffff 32 = 0; -2147483648 31 = -1; -5 64 = -1; 100 3 = 12; -5 0 = -5")]
    [TestCase("shr.s64", "s64 s64 u32",
        "-8 1 = -4; -9223372036854775808 63 = -1; -1 64 = -1; 0x7fffffffffffffff 64 = 0; -4294967296 31 = -2; -4294967296 32 = -1; -4294967296 33 = -1")]
    [TestCase("shr.u32", "u32 u32 u32",
        "0x80000000 31 = 1; 0xffffffff 32 = 0; 0xffffffff 33 = 0; 0xffffffff 64 = 0; 0xfffffff0 4 = 0x0fffffff; 9 0 = 9")]
    [TestCase("shr.u64", "u64 u64 u32",
        "0x8000000000000000 63 = 1; 0xffffffffffffffff 64 = 0; 0x123456789abcdef0 32 = 0x12345678; 0x123456789abcdef0 33 = 0x91a2b3c; " +
        "0x123456789abcdef0 31 = 0x2468acf1")]
    [TestCase("shf.l.wrap.b32", "b32 b32 b32 u32",
        "0x80000000 1 1 = 3; 0x12345678 0x9abcdef0 8 = 0xbcdef012; 0x12345678 0x9abcdef0 0 = 0x9abcdef0; " +
        "0x12345678 0x9abcdef0 32 = 0x9abcdef0; 0x12345678 0x9abcdef0 40 = 0xbcdef012")]
    public void Shifts(string spelling, string types, string rows) => LaneTable.Check(spelling, types, rows);

    // The same with counts that stand in the text.
    [TestCase("shl.b32", "b32 b32", ", 5", "1 = 32; 0xffffffff = 0xffffffe0")]
    [TestCase("shl.b32", "b32 b32", ", 31", "1 = 0x80000000; 3 = 0x80000000")]
    [TestCase("shl.b32", "b32 b32", ", 32", "1 = 0; 0xffffffff = 0")]
    [TestCase("shr.u32", "u32 u32", ", 31", "0x80000000 = 1; 0x7fffffff = 0")]
    [TestCase("shr.u32", "u32 u32", ", 33", "0xffffffff = 0; 1 = 0")]
    [TestCase("shr.s32", "s32 s32", ", 31", "-1 = -1; 2147483647 = 0")]
    [TestCase("shr.s32", "s32 s32", ", 64", "-1 = -1; 2147483647 = 0")]
    [TestCase("shl.b64", "b64 b64", ", 40", "1 = 0x10000000000; 0x1000000 = 0")]
    [TestCase("shl.b64", "b64 b64", ", 64", "1 = 0; 0xffffffffffffffff = 0")]
    [TestCase("shr.s64", "s64 s64", ", 64", "-5 = -1; 5 = 0")]
    [TestCase("shr.s16", "s16 s16", ", 3", "-16 = -2; 16 = 2")]
    public void ShiftsByConstants(string spelling, string types, string suffix, string rows) => LaneTable.Check(spelling, types, rows, suffix);

    // PTX ISA 9.7.8, Logic and Shift Instructions: and, or, xor, not, lop3 (table entry 4a + 2b + c); 9.7.9, prmt.
    [TestCase("and.b16", "b16 b16 b16", "", "0xff0f 0x0ff0 = 0x0f00; 0xffff 0 = 0")]
    [TestCase("and.b32", "b32 b32 b32", "", "0xff00ff00 0x0ff00ff0 = 0x0f000f00; 0xffffffff 0 = 0")]
    [TestCase("and.b64", "b64 b64 b64", "", "0xff00ff00ff00ff00 0x0ff00ff00ff00ff0 = 0x0f000f000f000f00; 0xffffffffffffffff 1 = 1")]
    [TestCase("or.b32", "b32 b32 b32", "", "0xff00ff00 0x0ff00ff0 = 0xfff0fff0; 0 0 = 0")]
    [TestCase("or.b64", "b64 b64 b64", "", "0xff00000000000000 0xff = 0xff000000000000ff; 0 0 = 0")]
    [TestCase("xor.b32", "b32 b32 b32", "", "0xff00ff00 0x0ff00ff0 = 0xf0f0f0f0; 5 5 = 0")]
    [TestCase("xor.b64", "b64 b64 b64", "", "0xff000000000000ff 0xff = 0xff00000000000000; 5 5 = 0")]
    [TestCase("not.b32", "b32 b32", "", "0 = 0xffffffff; 0xf0f0f0f0 = 0x0f0f0f0f")]
    [TestCase("not.b64", "b64 b64", "", "0 = 0xffffffffffffffff; 0xf0f0f0f0f0f0f0f0 = 0x0f0f0f0f0f0f0f0f")]
    [TestCase("lop3.b32", "b32 b32 b32 b32", ", 0x80", "0xf0 0xcc 0xaa = 0x80; 0xffffffff 0xffffffff 0xdeadbeef = 0xdeadbeef")]
    [TestCase("lop3.b32", "b32 b32 b32 b32", ", 0x96", "0xf0 0xcc 0xaa = 0x96; 1 1 1 = 1")]
    [TestCase("lop3.b32", "b32 b32 b32 b32", ", 0xca", "0xffff0000 0x12345678 0x9abcdef0 = 0x1234def0; 0 1 2 = 2")]
    [TestCase("lop3.b32", "b32 b32 b32 b32", ", 0xea", "0xff 0x0f 0xf00 = 0xf0f; 0 7 8 = 8")]
    [TestCase("prmt.b32", "b32 b32 b32 b32", "",
        "0x33221100 0x77665544 0x3210 = 0x33221100; 0x33221100 0x77665544 0x7531 = 0x77553311; 0x80 0 0x8880 = 0xffffff80; " +
        "0x33221100 0x77665544 0x0123 = 0x00112233; 0x7f 0x80000000 0xf08c = 0xff7f0000")]
    public void CombinesBits(string spelling, string types, string suffix, string rows) => LaneTable.Check(spelling, types, rows, suffix);
}
