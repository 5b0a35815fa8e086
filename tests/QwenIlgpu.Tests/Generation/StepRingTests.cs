namespace QwenIlgpu.Tests;

/// <summary>The ring of steps in flight, and the ways of requests through it.</summary>
internal sealed class StepRingTests
{
    private static readonly ResolvedSampling Greedy =
        ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, () => 0);

    private ComputeDevice device = null!;
    private DeviceMemory memory = null!;

    [SetUp]
    public void Open()
    {
        device = ComputeDevice.OpenCpu();
        memory = new DeviceMemory(device);
    }

    [TearDown]
    public void Close()
    {
        memory.Dispose();
        device.Dispose();
    }

    [Test]
    public void StepsAreTakenInTheOrderInWhichTheyWereQueued()
    {
        var ring = new StepRing(memory, steps: 2, parts: 4, rows: 4, scoredRows: 64);
        QueuedStep first = ring.Next();
        first.Add(Drawing());
        ring.Queue();
        QueuedStep second = ring.Next();
        ring.Queue();

        Assert.That((ring.InFlight, ring.IsFull), Is.EqualTo((2, true)));
        Assert.That(first.Results, Is.Not.SameAs(second.Results), "one is read while the other is written");
        Assert.That((ring.Take(), ring.Take()), Is.EqualTo((first, second)));
        Assert.That(ring.InFlight, Is.Zero);
        Assert.That(ring.Next(), Is.SameAs(first).And.Property(nameof(QueuedStep.HasResults)).False);
    }

    [Test]
    public void DrawnAndScoredRowsAreCountedApart()
    {
        QueuedStep step = new StepRing(memory, steps: 1, parts: 4, rows: 4, scoredRows: 64).Next();
        var scoring = new ScoreRequest(new int[41]);
        step.Add(scoring, 40);
        step.Add(Drawing());
        step.Add(new ScoreRequest(new int[9]), 8);
        step.Add(Drawing());

        Assert.That(step.Parts.ToArray().Select(p => (p.FirstRow, p.Rows)), Is.EqualTo(new[] { (0, 40), (0, 1), (40, 8), (1, 1) }));
        Assert.That((step.DrawnRows, step.ScoredRows), Is.EqualTo((2, 48)));
        Assert.That(step.Parts[0].Request, Is.SameAs(scoring));
    }

    [Test]
    public async Task AScoringEndsOnceAndGivesItsSeatBackOnce()
    {
        var seats = new EngineSeats(1);
        Assert.That(seats.TryTake(), Is.True);
        var request = new ScoreRequest([1, 2, 3]);
        request.Sit(seats);
        request.Begin(0);

        request.Complete();
        request.Fail(new InvalidOperationException());

        Assert.That(await request.Scores, Has.Length.EqualTo(2));
        Assert.That((seats.TryTake(), seats.TryTake()), Is.EqualTo((true, false)));
    }

    // A step of tokens that the host knows has rows, and nobody who takes what they draw.
    [Test]
    public void UnreadRowsAreDrawnAndHaveNoPart()
    {
        QueuedStep step = new StepRing(memory, steps: 1, parts: 4, rows: 4, scoredRows: 64).Next();
        step.AddUnread();
        bool hadResults = step.HasResults;
        step.Add(Drawing());

        Assert.That((hadResults, step.DrawnRows, step.Parts.Length, step.Parts[0].FirstRow), Is.EqualTo((false, 2, 1, 1)));
    }

    [TestCase(100, 512, 100)]
    [TestCase(1000, 500, 448)]
    [TestCase(1000, 63, 0)]
    public void APartEndsWithThePromptOrAtAMultipleOf64(int tokens, int budgetRows, int expectedRows)
    {
        var drawing = new GenerationRequest(new int[tokens], 5, new HashSet<int>(), Greedy, new TokenStream(5, -1));
        var scoring = new ScoreRequest(new int[tokens + 1]);

        Assert.That(drawing.NextPrefill(budgetRows).Tokens.Length, Is.EqualTo(expectedRows));
        Assert.That(scoring.NextPrefill(budgetRows).Tokens.Length, Is.EqualTo(expectedRows));
        Assert.That(scoring.NextPrefill(budgetRows).Targets.Length, Is.EqualTo(expectedRows));
        Assert.That(drawing.NextPrefill(budgetRows).Logits, Is.EqualTo(expectedRows == tokens ? LogitsWanted.Last : LogitsWanted.None));
    }

    // The last drawn token is never fed, the last scored one neither.
    [TestCase(60, 5, 1)]
    [TestCase(60, 6, 2)]
    public void PagesAreThoseOfWhatIsFed(int prompt, int maxTokens, int expectedPages)
    {
        var drawing = new GenerationRequest(new int[prompt], maxTokens, new HashSet<int>(), Greedy, new TokenStream(maxTokens, -1));

        Assert.That(drawing.Sequence.NeededPages, Is.EqualTo(expectedPages));
        Assert.That(new ScoreRequest(new int[prompt + maxTokens]).Sequence.NeededPages, Is.EqualTo(expectedPages));
    }

    private static GenerationRequest Drawing() => new([1, 2], 5, new HashSet<int>(), Greedy, new TokenStream(5, -1));
}
