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
