namespace QwenIlgpu.Tests;

internal sealed class StopMatcherTests
{
    private const string Text = "one two STOP three";

    [Test]
    public void StopsBeforeTheStringAtEverySplit([Range(0, 18)] int first, [Range(0, 18)] int second)
    {
        int a = Math.Min(first, second);
        int b = Math.Max(first, second);

        (string text, bool stopped) = Run(["STOP", "never"], Text[..a], Text[a..b], Text[b..]);

        Assert.That((text, stopped), Is.EqualTo(("one two ", true)));
    }

    [Test]
    public void EmitsAllWhenNothingMatches()
    {
        (string text, bool stopped) = Run(["STOPPED", "threefold"], [.. Text.Select(c => c.ToString())]);

        Assert.That((text, stopped), Is.EqualTo((Text, false)));
    }

    [Test]
    public void TakesTheEarliestOfSeveral() => Assert.That(Run(["three", "two", "STOP"], Text).Text, Is.EqualTo("one "));

    [Test]
    public void FindsAStringThatBeginsInsideAFailedMatch() => Assert.That(Run(["aab"], "a", "a", "a", "b", "c").Text, Is.EqualTo("a"));

    private static (string Text, bool Stopped) Run(string[] stops, params string[] pieces)
    {
        var matcher = new StopMatcher(stops);
        string text = string.Concat(pieces.Select(matcher.Append));
        return (text + matcher.Flush(), matcher.Stopped);
    }
}
