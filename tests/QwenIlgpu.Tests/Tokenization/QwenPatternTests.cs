using System.Text;
using System.Text.RegularExpressions;

namespace QwenIlgpu.Tests;

internal sealed class QwenPatternTests
{
    // All kinds of characters the pattern tells apart, none on which .NET's engine differs: no long s, nothing outside the basic plane.
    private static readonly string[] parts =
    [
        "a", "Z", "é", "ж", "中", "\u0301", "\u20DD", "1", "½", "٣", " ", "\t", "\u00A0", "\u2028", "\r", "\n", "!", "'", "-", "€", "'s", "'LL",
    ];

    private static readonly QwenPattern[] patterns = [QwenPattern.Qwen35, QwenPattern.Qwen2];

    [Test]
    public void CutsAsTheRegularExpressionDoes([Values(0, 1)] int number)
    {
        QwenPattern pattern = patterns[number];
        Regex regex = new(pattern.Source, RegexOptions.CultureInvariant);
        Random random = new(7);
        for (int i = 0; i < 20_000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => parts[random.Next(parts.Length)]));
            Assert.That(Cut(pattern, text), Is.EqualTo(regex.Matches(text).Select(match => match.Value)), text);
        }
    }

    [TestCase("'ſa", "'ſ|a")]
    [TestCase("𝔘𝔦 𝒳x", "𝔘𝔦| 𝒳x")]
    [TestCase("𝟘𝟙", "𝟘|𝟙")]
    [TestCase("🦊🚀!\r\n\n x", "🦊🚀!\r\n\n| x")]
    [TestCase("x\U000E0100y", "x\U000E0100y")]
    public void CutsByCodePoints(string text, string pieces) => Assert.That(string.Join('|', Cut(QwenPattern.Qwen35, text)), Is.EqualTo(pieces));

    [TestCase("x\u0323\u0301y", "x|\u0323\u0301|y")]
    [TestCase("x\U000E0100\u0301 y", "x|\U000E0100\u0301| y")]
    public void MarksOfTheOlderPatternAreNoLetters(string text, string pieces) =>
        Assert.That(string.Join('|', Cut(QwenPattern.Qwen2, text)), Is.EqualTo(pieces));

    // Every code point by itself and between letters: the scanner's classes are the pattern's.
    [Test]
    public void KnowsEveryCharacterOfTheBasicPlane([Values(0, 1)] int number)
    {
        QwenPattern pattern = patterns[number];
        Regex regex = new(pattern.Source, RegexOptions.CultureInvariant);
        for (int code = 0; code < 0x10000; code++)
        {
            if (!Rune.IsValid(code)) continue;
            string text = $"{(char)code}a{(char)code}{(char)code} ";
            Assert.That(Cut(pattern, text), Is.EqualTo(regex.Matches(text).Select(match => match.Value)), $"U+{code:X4}");
        }
    }

    private static List<string> Cut(QwenPattern pattern, string text)
    {
        List<string> pieces = [];
        for (int start = 0, length; start < text.Length; start += length)
        {
            length = pattern.PieceLength(text.AsSpan(start));
            pieces.Add(text.Substring(start, length));
        }

        return pieces;
    }
}
