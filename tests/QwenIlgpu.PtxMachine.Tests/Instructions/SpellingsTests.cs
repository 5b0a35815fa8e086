namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class SpellingsTests
{
    // Branches end blocks, and are decoded with those.
    private static readonly string[] Branches = ["bra", "bra.uni", "brx.idx.uni", "ret"];

    [Test]
    public void EverySpellingOfTheKernelsIsKnown()
    {
        using Stream stream = typeof(SpellingsTests).Assembly.GetManifestResourceStream("spellings.txt")!;
        using var reader = new StreamReader(stream);
        string[] used = [.. reader.ReadToEnd().Split('\n').Where(l => l.Length > 0 && l[0] != '#')];

        Assert.Multiple(() =>
        {
            Assert.That(used, Has.Length.GreaterThan(250).And.Member("fma.rn.f32").And.Member("bra"));
            Assert.That(used.Except(Branches), Is.SubsetOf(InstructionSet.Spellings));
        });
    }

    [TestCase("foo.bar.s32 %r2, %r0, %r1;", "foo.bar.s32")]
    [TestCase("add.rz.f32 %f0, %f1, %f2;", "add.rz.f32")]
    [TestCase("add %r2, %r0, %r1;", "add")]
    [TestCase("bra.divergent $end;", "bra.divergent")]
    [TestCase("@%p0 cvt.rn.s32.f32 %r2, %f0;", "cvt.rn.s32.f32")]
    public void RefusesWhatItDoesNotKnow(string instruction, string spelling)
    {
        string text = Bench.Text($"mov.b32 %r2, 1;\n\n{instruction} {Bench.Mark}\n$end:", 1);

        PtxException trouble = Assert.Throws<PtxException>(() => PtxModule.Parse(text))!;

        Assert.Multiple(() =>
        {
            Assert.That(trouble.Line, Is.EqualTo(Bench.MarkedLine(text)));
            Assert.That(trouble.Message, Does.Contain(spelling).And.Contain($"line {trouble.Line}"));
        });
    }

    // A register of another width would silently take other bits.
    [TestCase("add.s32 %rd2, %r0, %r1;")]
    [TestCase("add.s64 %rd2, %r0, %rd1;")]
    [TestCase("ld.global.v4.b32 {%r2, %r3}, [%rd0];")]
    [TestCase("ld.global.b64 %r2, [%rd0];")]
    [TestCase("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r2, %r3}, [%r4];")]
    [TestCase("bar.sync 0, 64;")]
    [TestCase("bra $nowhere;")]
    [TestCase("ld.param.b32 %r2, [nothing];")]
    public void RefusesOperandsThatDoNotFit(string instruction)
    {
        string text = Bench.Text($"{instruction} {Bench.Mark}", 1);

        Assert.That(Assert.Throws<PtxException>(() => PtxModule.Parse(text))!.Line, Is.EqualTo(Bench.MarkedLine(text)));
    }
}
