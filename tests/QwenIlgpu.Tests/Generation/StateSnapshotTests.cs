namespace QwenIlgpu.Tests;

/// <summary>Sequences that go on from another one's state: a snapshot's slot, and the pages of the tokens before it.</summary>
[NonParallelizable]
internal sealed class StateSnapshotTests
{
    private const int Prefix = 128;

    [Test]
    public void PrefixIsReusedBitForBit(
        [Values(PageType.F32, PageType.Bf16)] PageType pageType, [Values(DeltaPrefillForm.Chunked, DeltaPrefillForm.Recurrent)] DeltaPrefillForm form)
    {
        int[] first = Ids(150);
        int[] second = [.. first[..Prefix], .. Ids(60).Select(i => i / 2)];
        using var sequences = new SequenceRunner(TestModels.Tiny, pageType, options: new StepRunnerOptions(DeltaForm: form));
        sequences.Runner.Run(
            StepKind.Prefill, [new StepSequence(1, 0, first, LogitsWanted.None, Snapshots: [new StateSnapshot(64, 4), new StateSnapshot(Prefix, 3)])],
            samples: false);

        sequences.SharePages(3, owner: 1, Prefix);
        float[] reused = sequences.PrefillFrom(Prefix, second[Prefix..], slot: 3);

        float[] computed = sequences.Prefill(second, slot: 2)[(Prefix * sequences.Vocabulary)..];
        Assert.That(reused, Has.None.NaN);
        Assert.That(reused, Is.EqualTo(computed));
        sequences.SharePages(4, owner: 1, 64);
        Assert.That(sequences.PrefillFrom(64, first[64..], slot: 4), Is.EqualTo(sequences.Prefill(first, slot: 2)[(64 * sequences.Vocabulary)..]));
    }

    // Another sequence shares the step; the second snapshot is at the step's end, from where one token is decoded.
    [Test]
    public void SnapshotsOfSeveralSequencesAtTheEndOfAStep(
        [Values(DeltaPrefillForm.Chunked, DeltaPrefillForm.Recurrent)] DeltaPrefillForm form)
    {
        int[] ids = Ids(203);
        var options = new StepRunnerOptions(DeltaForm: form);
        using var sequences = new SequenceRunner(TestModels.Tiny, maxSequences: 4, options: options);
        sequences.Prefill(ids[..70], slot: 1);

        sequences.Runner.Run(
            StepKind.Prefill,
            [
                new StepSequence(1, 70, ids.AsMemory(70, 80), LogitsWanted.None, Snapshots: [new StateSnapshot(150, 3)]),
                new StepSequence(2, 0, ids.AsMemory(0, 66), LogitsWanted.None, Snapshots: [new StateSnapshot(64, 4)]),
            ],
            samples: false);
        sequences.SharePages(3, owner: 1, 192);
        float[] decoded = sequences.Decode(ids[150..151], slot: 3, firstPosition: 150);
        sequences.SharePages(4, owner: 2, 64);
        float[] prefilled = sequences.PrefillFrom(64, ids[64..100], slot: 4);

        using var plain = new SequenceRunner(TestModels.Tiny, maxSequences: 4, options: options);
        plain.Prefill(ids[..70], slot: 1);
        plain.PrefillFrom(70, ids[70..150], slot: 1);
        Assert.That(decoded, Is.EqualTo(plain.Decode(ids[150..151], slot: 1, firstPosition: 150)));
        plain.Prefill(ids[..64], slot: 2);
        Assert.That(prefilled, Is.EqualTo(plain.PrefillFrom(64, ids[64..100], slot: 2)));
    }

    [TestCase(100, "100 tokens of a step from token 64 to 150")]
    [TestCase(64, "64 tokens of a step from token 64 to 150")]
    [TestCase(192, "192 tokens of a step from token 64 to 150")]
    public void OtherBoundariesAreRefused(int tokens, string message)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);

        Assert.That(
            () => sequences.Runner.Run(
                StepKind.Prefill, [new StepSequence(1, 64, Ids(150).AsMemory(64), LogitsWanted.None, Snapshots: [new StateSnapshot(tokens, 2)])], samples: false),
            Throws.ArgumentException.With.Message.Contains(message));
    }

    [Test]
    public void SlotOfTheStepIsRefused()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);

        Assert.That(
            () => sequences.Runner.Run(
                StepKind.Prefill, [new StepSequence(1, 0, Ids(64), LogitsWanted.None, Snapshots: [new StateSnapshot(64, 1)])], samples: false),
            Throws.ArgumentException.With.Message.Contains("slot 1"));
    }

    private static int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7) % 2000)];
}
