using System.Globalization;
using System.Text;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>
/// One instruction on 32 lanes of operands, against results written by hand: alone, under a guard of every other lane, and with each
/// operand undefined in turn, which its result then must be too.
/// </summary>
internal static class LaneTable
{
    private const int Lanes = 32;

    // What the result's register holds before, where a guard keeps the instruction from a lane.
    private const ulong Before = 0x1234_5678_9abc_5a5a;

    /// <summary>Checks an instruction.</summary>
    /// <param name="spelling">With all its modifiers.</param>
    /// <param name="types">Of the result and the operands: <c>s64 s32 s32</c>.</param>
    /// <param name="rows">Operands and result, a row a lane, over and over: <c>-1 4 = -4; 7 4 = 28</c>.</param>
    /// <param name="suffix">Operands behind those of the rows: <c>, 0x96</c>.</param>
    /// <param name="isTainted">Whether every undefined operand makes the result undefined.</param>
    public static void Check(string spelling, string types, string rows, string suffix = "", bool isTainted = true)
    {
        string[] type = types.Split(' ');
        (ulong[] Operands, ulong Result)[] table = [.. rows.Split(';').Select(row => Row(row, type))];
        Assert.That(table, Has.Length.LessThanOrEqualTo(Lanes));
        ulong[] operands = [.. from k in Enumerable.Range(0, type.Length - 1) from lane in Enumerable.Range(0, Lanes) select table[lane % table.Length].Operands[k]];
        ulong[] expected = [.. Enumerable.Range(0, Lanes).Select(lane => table[lane % table.Length].Result)];
        ulong before = type[0] == "pred" ? 1 : Before & Mask(type[0]);

        Assert.Multiple(() =>
        {
            Assert.That(Run(Body(spelling, type, suffix, "", -1), operands), Is.EqualTo(Hex(expected)), spelling);
            Assert.That(
                Run(Body(spelling, type, suffix, "@g ", -1), operands), Is.EqualTo(Hex(expected.Select((e, lane) => lane % 2 == 1 ? e : before))), $"@g {spelling}");
            Assert.That(
                Run(Body(spelling, type, suffix, "@!g ", -1), operands), Is.EqualTo(Hex(expected.Select((e, lane) => lane % 2 == 0 ? e : before))), $"@!g {spelling}");
            for (int k = 0; isTainted && k < type.Length - 1; k++)
                CheckTaint(Body(spelling, type, suffix, "", k), operands, $"{spelling}, operand {k} undefined");
        });
    }

    private static void CheckTaint(string body, ulong[] operands, string what)
    {
        using var bench = new Bench();
        string text = Bench.Text(body, 2);
        Fault[] faults = [.. bench.FaultsOf(text, Bench.Warp, bench.Allocate<ulong>(Lanes), bench.Upload<ulong>(operands))];
        Assert.That(faults.Select(f => (f.Kind, f.Line)), Is.EqualTo(new[] { (FaultKind.UndefinedValue, Bench.MarkedLine(text)) }), what);
    }

    private static string[] Run(string body, ulong[] operands)
    {
        using var bench = new Bench();
        nint d = bench.Upload(new ulong[Lanes]);
        bench.Launch(body, Bench.Warp, d, bench.Upload<ulong>(operands));
        return Hex(bench.Download<ulong>(d, Lanes));
    }

    private static string[] Hex(IEnumerable<ulong> values) => [.. values.Select(v => $"0x{v:x}")];

    private static string Body(string spelling, string[] types, string suffix, string guard, int undefined)
    {
        var body = new StringBuilder("mul.wide.u32 %rd11, %r0, 8;\nadd.u64 %rd12, %rd1, %rd11;\nadd.u64 %rd11, %rd0, %rd11;\n.reg .pred g;\n");
        body.Append("and.b32 %r10, %r0, 1;\nsetp.ne.u32 g, %r10, 0;\n");
        body.Append(CultureInfo.InvariantCulture, $".reg .{Register(types[0])} d;\n");
        body.Append(types[0] == "pred" ? "setp.eq.u32 d, 0, 0;\n" : $"mov.{Register(types[0])} d, {Before & Mask(types[0])};\n");
        for (int k = 0; k < types.Length - 1; k++)
        {
            string register = Register(types[k + 1]);
            body.Append(CultureInfo.InvariantCulture, $".reg .{register} o{k};\n");
            if (k == undefined)
                continue;
            body.Append(register == "pred"
                ? $"ld.global.b32 %r11, [%rd12+{k * Lanes * 8}];\nsetp.ne.u32 o{k}, %r11, 0;\n"
                : $"ld.global.{register} o{k}, [%rd12+{k * Lanes * 8}];\n");
        }

        body.Append(CultureInfo.InvariantCulture, $"{guard}{spelling} d");
        for (int k = 0; k < types.Length - 1; k++)
            body.Append(CultureInfo.InvariantCulture, $", o{k}");
        body.Append(suffix).Append(";\n");
        return body.Append(types[0] == "pred"
            ? $"selp.b32 %r12, 1, 0, d;\nst.global.b32 [%rd11], %r12; {Bench.Mark}"
            : $"st.global.{Register(types[0])} [%rd11], d; {Bench.Mark}").ToString();
    }

    private static (ulong[] Operands, ulong Result) Row(string row, string[] types)
    {
        string[] sides = row.Split('=', StringSplitOptions.TrimEntries);
        string[] words = sides[0].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        Assert.That(words, Has.Length.EqualTo(types.Length - 1), row);
        return ([.. words.Select((w, k) => Bits(w, types[k + 1]))], Bits(sides[1], types[0]));
    }

    private static ulong Bits(string word, string type)
    {
        bool isDouble = type == "f64";
        if (word.StartsWith("0x", StringComparison.Ordinal))
            return ulong.Parse(word.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        if (type[0] != 'f')
            return Mask(type) & (word[0] == '-' ? (ulong)long.Parse(word, CultureInfo.InvariantCulture) : ulong.Parse(word, CultureInfo.InvariantCulture));

        // Hardware's one NaN.
        if (word == "nan")
            return isDouble ? (ulong)long.MaxValue : int.MaxValue;
        double number = word.EndsWith("inf", StringComparison.Ordinal)
            ? word[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity
            : double.Parse(word, CultureInfo.InvariantCulture);
        return isDouble ? BitConverter.DoubleToUInt64Bits(number) : BitConverter.SingleToUInt32Bits((float)number);
    }

    private static ulong Mask(string type) => type == "pred" ? 1 : ulong.MaxValue >> (64 - Width(type));

    private static int Width(string type) => int.Parse(type.AsSpan(1), CultureInfo.InvariantCulture);

    private static string Register(string type) => type == "pred" ? type : $"b{Math.Max(Width(type), 16)}";
}
