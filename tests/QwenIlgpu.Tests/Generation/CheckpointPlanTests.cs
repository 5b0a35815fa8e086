namespace QwenIlgpu.Tests;

internal sealed class CheckpointPlanTests
{
    private const int End = 9;

    // Turns end at these tokens, the last of which is End.
    [TestCase(500, new[] { 200, 330, 480 }, 0, 0, new[] { 448, 320 }, TestName = "BehindTheLastTwoTurns")]
    [TestCase(500, new[] { 480 }, 0, 0, new[] { 448 }, TestName = "BehindTheOnlyTurn")]
    [TestCase(500, new int[0], 0, 0, new[] { 448 }, TestName = "AtTheEndOfAPromptWithoutTurns")]
    [TestCase(512, new int[0], 0, 0, new[] { 448 }, TestName = "OneTokenIsLeft")]
    [TestCase(512, new[] { 512 }, 0, 0, new[] { 448 }, TestName = "OneTokenIsLeftBehindATurnThatEndsThePrompt")]
    [TestCase(513, new[] { 512 }, 0, 0, new[] { 512 }, TestName = "AWholePage")]
    [TestCase(512, new[] { 511 }, 0, 0, new[] { 448 }, TestName = "OneTokenShortOfAPage")]
    [TestCase(64, new[] { 20, 60 }, 0, 0, new int[0], TestName = "NoWholePage")]
    [TestCase(500, new[] { 330, 480 }, 0, 192, new[] { 448, 192, 320 }, TestName = "WherePromptsPart")]
    [TestCase(500, new[] { 330, 480 }, 320, 320, new[] { 448 }, TestName = "OnlyBeyondWhereItBegins")]
    [TestCase(500, new[] { 330, 480 }, 448, 448, new int[0], TestName = "NothingBeyond")]
    [TestCase(500, new[] { 450, 480 }, 0, 0, new[] { 448 }, TestName = "TwoTurnsInOnePageAreOnePlace")]
    [TestCase(13_000, new int[0], 0, 0, new[] { 12_992, 12_288, 8_192 }, TestName = "EveryFourThousandTokens")]
    [TestCase(13_000, new int[0], 8_192, 8_192, new[] { 12_992, 12_288 }, TestName = "EveryFourThousandTokensBeyondWhereItBegins")]
    [TestCase(4_097, new int[0], 0, 0, new[] { 4_096 }, TestName = "FourThousandTokensAndTheEndAreOnePlace")]
    [TestCase(13_000, new[] { 100, 6_000, 12_500 }, 0, 64, new[] { 12_480, 64, 5_952 }, TestName = "NoMoreThanThree")]
    [TestCase(13_000, new[] { 100, 12_500 }, 0, 0, new[] { 12_480, 64, 12_992 }, TestName = "TurnsBeforeTheEnd")]
    [TestCase(13_000, new[] { 12_900, 12_990 }, 0, 0, new[] { 12_928, 12_864, 12_288 }, TestName = "TurnsBeforeSpacing")]
    [TestCase(500, new[] { 30 }, 0, 0, new[] { 448 }, TestName = "ALongTurnThatIsNotOver")]
    [TestCase(500, new[] { 437 }, 0, 0, new[] { 384 }, TestName = "AShortTurnThatIsNotOver")]
    public void Places(int tokens, int[] turns, int resumedTokens, int sharedTokens, int[] expected)
    {
        int[] ids = new int[tokens];
        foreach (int turn in turns)
            ids[turn - 1] = End;

        Assert.That(CheckpointPlan.Of(ids, new HashSet<int> { End, 10 }, resumedTokens, sharedTokens), Is.EqualTo(expected));
    }
}
