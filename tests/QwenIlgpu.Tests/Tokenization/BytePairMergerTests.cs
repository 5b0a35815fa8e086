using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class BytePairMergerTests
{
    [Test]
    public void EqualsTheLibraryOnEveryGoldenText()
    {
        foreach (string text in Golden("tokenizer").Select(golden => golden.GetProperty("text").GetString()!))
            AssertSame(text);
    }

    [TestCase(1, "ab")]
    [TestCase(2, "a b")]
    [TestCase(3, "thean d\n")]
    [TestCase(4, "éñ中🦊 e")]
    public void EqualsTheLibraryOnRandomPieces(int seed, string alphabet)
    {
        Random random = new(seed);
        string[] characters = [.. alphabet.EnumerateRunes().Select(rune => rune.ToString())];
        for (int i = 0; i < 200; i++)
            AssertSame(string.Concat(Enumerable.Range(0, random.Next(1, 400)).Select(_ => characters[random.Next(characters.Length)])));
    }

    [TestCase('a')]
    [TestCase(' ')]
    [TestCase('e')]
    [TestCase('=')]
    public void EqualsTheLibraryOnRuns(char character)
    {
        for (int length = 1; length < 300; length++)
            AssertSame(new string(character, length));
    }

    private static void AssertSame(string piece)
    {
        List<int> expected = [];
        List<int> actual = [];
        Tokenizer.EncodePiece(piece, int.MaxValue, expected);
        Tokenizer.EncodePiece(piece, 0, actual);
        Assert.That(actual, Is.EqualTo(expected), piece);
    }
}
