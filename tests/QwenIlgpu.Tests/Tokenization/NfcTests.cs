using System.Globalization;
using System.IO.Compression;
using System.Text;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class NfcTests
{
    // Columns of Unicode's own test: source; NFC; NFD; NFKC; NFKD. c2 = nfc(c1, c2, c3), c4 = nfc(c4, c5).
    [Test]
    public void PassesUnicodesNormalizationTest()
    {
        HashSet<string> listed = [];
        bool inPart1 = false;
        foreach (string line in TestLines())
        {
            if (line.StartsWith('@'))
            {
                inPart1 = line.StartsWith("@Part1", StringComparison.Ordinal);
                continue;
            }

            string[] columns = [.. line.Split(';').Select(Text)];
            for (int i = 0; i < 5; i++)
                Assert.That(Nfc.Normalize(columns[i]), Is.EqualTo(columns[i < 3 ? 1 : 3]), line);
            if (inPart1) listed.Add(columns[0]);
        }

        Assert.That(listed, Has.Count.GreaterThan(16_000));
        for (int code = 0; code <= 0x10FFFF; code++)
        {
            if (!Rune.IsValid(code)) continue;
            string character = char.ConvertFromUtf32(code);
            if (!listed.Contains(character) && Nfc.Normalize(character) != character) Assert.Fail($"U+{code:X4} changed");
        }
    }

    // This process runs so, and the runtime's own normalisation shows it: it does nothing.
    [Test]
    public void WorksUnderInvariantGlobalization()
    {
        Assert.That(AppContext.TryGetSwitch("System.Globalization.Invariant", out bool invariant) && invariant, Is.True);
        Assert.That("e\u0301".Normalize(NormalizationForm.FormC), Is.EqualTo("e\u0301"));

        Assert.That(Nfc.Normalize("e\u0301"), Is.EqualTo("\u00E9"));
        Assert.That(Tokenizer.Encode("e\u0301", parseSpecial: true), Is.EqualTo(Tokenizer.Encode("\u00E9", parseSpecial: true)));
    }

    [Test]
    public void SortsLongRunsOfMarksStably()
    {
        string marks = string.Concat(Enumerable.Repeat("\u0316\u0302\u0317\u0303", 50_000)); // classes 220, 230, 220, 230
        string below = string.Concat(Enumerable.Repeat("\u0316\u0317", 50_000));
        string above = string.Concat(Enumerable.Repeat("\u0302\u0303", 50_000));

        Assert.That(Nfc.Normalize("q" + marks), Is.EqualTo("q" + below + above));
    }

    // A range keeps what does not join with its neighbours, and the whole is the same as ever.
    [TestCase("e\u0301|x|\u0301e", "\u00E9x\u0301e")]
    [TestCase("<|s|>|\u0338", "<|s|\u226F")]
    [TestCase("a\u0301|b|c\u0301", "\u00E1|b|\u0107")]
    public void FollowsRanges(string marked, string expected)
    {
        string[] parts = marked.Split('|');
        string text = string.Concat(parts);
        List<TextRange> ranges = [];
        for (int i = 0, start = 0; i < parts.Length; start += parts[i++].Length)
        {
            if (i % 2 == 1 && parts[i].Length > 0)
                ranges.Add(new TextRange(start, start + parts[i].Length));
        }

        string whole = Nfc.Normalize(text, ranges, out List<TextRange> moved);

        Assert.That(whole, Is.EqualTo(Nfc.Normalize(text)));
        string shown = whole;
        foreach (TextRange range in moved.AsEnumerable().Reverse())
            shown = shown.Insert(range.End, "|").Insert(range.Start, "|");
        TestContext.Out.WriteLine(shown);
        Assert.That(shown, Is.EqualTo(expected));
    }

    [Test]
    public void RangesOfRandomTextsStandApart()
    {
        string[] parts = ["a", "e", "\u0301", "\u0323", "\u1100", "\u1161", "\u11A8", "\uAC00", "<", "\u0338", "\U0001F98A", "\u00C5", "\u0F71\u0F72"];
        Random random = new(3);
        for (int i = 0; i < 5_000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => parts[random.Next(parts.Length)]));
            int[] cuts = [.. Enumerable.Range(0, 4).Select(_ => random.Next(text.Length + 1)).Order()];
            TextRange[] ranges = [.. new TextRange[] { new(cuts[0], cuts[1]), new(cuts[2], cuts[3]) }.Where(r => r.Start < r.End)];

            string whole = Nfc.Normalize(text, ranges, out List<TextRange> moved);

            Assert.That(whole, Is.EqualTo(Nfc.Normalize(text)));
            foreach (TextRange range in moved)
                Assert.That(ranges.Any(r => Nfc.Normalize(text[r.Start..r.End]).Contains(whole[range.Start..range.End], StringComparison.Ordinal)), text);
        }
    }

    private static IEnumerable<string> TestLines()
    {
        using GZipStream stream = new(File.OpenRead(PathOf("unicode/NormalizationTest-15.0.0.txt.gz")), CompressionMode.Decompress);
        using StreamReader reader = new(stream);
        while (reader.ReadLine() is string line)
            yield return line;
    }

    private static string Text(string column) => string.Concat(
        column.Split(' ').Select(code => char.ConvertFromUtf32(int.Parse(code, NumberStyles.HexNumber, CultureInfo.InvariantCulture))));
}
