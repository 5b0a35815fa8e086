using System.Diagnostics;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class LinearTimeTests
{
    private const int Megabyte = 1 << 20;

    // One second is usual; a quadratic step anywhere would take hours.
    private static readonly TimeSpan limit = TimeSpan.FromSeconds(20);

    [TestCase("a")]
    [TestCase(" ")]
    [TestCase("\n")]
    [TestCase(" \n")]
    [TestCase("<")]
    [TestCase("\u0301")]
    [TestCase("e\u0301")]
    [TestCase("\u0301\u0316")]
    [TestCase("\uD800")]
    [TestCase("the ")]
    [TestCase("中")]
    public void EncodesAMegabyteOfOneThing(string unit)
    {
        string text = string.Concat(Enumerable.Repeat(unit, Megabyte / unit.Length));
        Stopwatch watch = Stopwatch.StartNew();

        int[] ids = Tokenizer.Encode(text, parseSpecial: true);

        TestContext.Out.WriteLine($"{watch.Elapsed.TotalSeconds:F2} s, {ids.Length} ids");
        Assert.That(watch.Elapsed, Is.LessThan(limit));
        Assert.That(Tokenizer.Decode(ids), Is.EqualTo(Nfc.Normalize(Unicode.ReplaceUnpairedSurrogates(text))));
    }
}
