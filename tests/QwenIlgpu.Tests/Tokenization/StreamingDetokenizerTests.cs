using System.Text.Json;
using static QwenIlgpu.Tests.TokenizationData;

namespace QwenIlgpu.Tests;

internal sealed class StreamingDetokenizerTests
{
    // A sequence cut anywhere is a sequence of its own: after each id, what was emitted is a prefix of the whole text, and with what
    // Flush adds it is the text of the ids so far.
    [TestCase(false)]
    [TestCase(true)]
    public void GivesEveryGoldenTextAtEverySplit(bool skipSpecial)
    {
        foreach (JsonElement golden in Golden("tokenizer"))
            AssertEverySplit(Ids(golden), skipSpecial);
    }

    // Random ids make every kind of broken UTF-8.
    [Test]
    public void GivesWhatDecodingTheWholeGives()
    {
        Random random = new(3);
        int[] singles = [.. Enumerable.Range(0, Tokenizer.VocabularySize).Where(id => Tokenizer.Bytes(id) is [> 0x7F])];
        for (int i = 0; i < 300; i++)
        {
            int[] ids = new int[random.Next(1, 30)];
            for (int k = 0; k < ids.Length; k++)
                ids[k] = random.Next(4) > 0 ? singles[random.Next(singles.Length)] : random.Next(Tokenizer.VocabularySize);
            AssertEverySplit(ids, skipSpecial: i % 2 == 0);
        }
    }

    [Test]
    public void HoldsBackTheBytesOfAnUnfinishedCharacter()
    {
        int[] fox = Tokenizer.Encode("🦊", parseSpecial: false);
        StreamingDetokenizer stream = new(Tokenizer);

        string[] parts = [.. fox.Select(stream.Append)];

        Assert.That(fox, Has.Length.GreaterThan(1));
        Assert.That(parts[..^1], Is.All.Empty);
        Assert.That(parts[^1], Is.EqualTo("🦊"));
        Assert.That(stream.Flush(), Is.Empty);
    }

    private static void AssertEverySplit(int[] ids, bool skipSpecial)
    {
        string whole = Tokenizer.Decode(ids, skipSpecial);
        StreamingDetokenizer stream = new(Tokenizer, skipSpecial);
        string emitted = "";
        for (int split = 0; split < ids.Length; split++)
        {
            string part = stream.Append(ids[split]);
            emitted += part;
            Assert.That(whole, Does.StartWith(emitted));
            Assert.That(Unicode.ReplaceUnpairedSurrogates(part), Is.EqualTo(part), "half a code point");

            StreamingDetokenizer shorter = new(Tokenizer, skipSpecial);
            string text = string.Concat(ids[..(split + 1)].Select(shorter.Append)) + shorter.Flush();
            Assert.That(text, Is.EqualTo(Tokenizer.Decode(ids.AsSpan(..(split + 1)), skipSpecial)));
        }

        Assert.That(emitted + stream.Flush(), Is.EqualTo(whole));
    }
}
