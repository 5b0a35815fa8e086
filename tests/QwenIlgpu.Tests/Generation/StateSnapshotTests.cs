namespace QwenIlgpu.Tests;

/// <summary>Sequences that go on from another one's state: a snapshot's slot, and the pages of the tokens before it.</summary>
[NonParallelizable]
internal sealed class StateSnapshotTests
{
    private const int Prefix = 128;

    [TestCase(KvType.F32, DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    [TestCase(KvType.Bf16, DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    [TestCase(KvType.F32, DeltaPrefillForm.Recurrent, DeltaStateType.F32)]
    [TestCase(KvType.Bf16, DeltaPrefillForm.Recurrent, DeltaStateType.F32)]
    [TestCase(KvType.Bf16, DeltaPrefillForm.Chunked, DeltaStateType.F16)]
    [TestCase(KvType.Bf16, DeltaPrefillForm.Recurrent, DeltaStateType.F16)]
    [TestCase(KvType.F32, DeltaPrefillForm.Chunked, DeltaStateType.Bf16)]
    [TestCase(KvType.F32, DeltaPrefillForm.Recurrent, DeltaStateType.Bf16)]
    [TestCase(KvType.Int8, DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    [TestCase(KvType.K8V4, DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    [TestCase(KvType.Int4, DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    public void PrefixIsReusedBitForBit(KvType kvType, DeltaPrefillForm form, DeltaStateType stateType)
    {
        int[] first = Ids(150);
        int[] second = [.. first[..Prefix], .. Ids(60).Select(i => i / 2)];
        using var sequences = new SequenceRunner(
            TestModels.Tiny, kvType, options: new StepRunnerOptions(DeltaForm: form), stateType: stateType);
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

    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.F32, 64)]
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.F16, 64)]
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.Bf16, 64)]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.F32, 64)]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.F16, 64)]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.Bf16, 64)]
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.Bf16, 128, Category = "Exhaustive")]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.F16, 128, Category = "Exhaustive")]
    public void PiecesCutAtMultiplesOf64EqualOneStep(DeltaPrefillForm form, DeltaStateType stateType, int chunkTokens)
    {
        int[] ids = Ids(150);
        using var sequences = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(DeltaForm: form), stateType: stateType);

        float[] whole = [.. sequences.Prefill(ids, slot: 1), .. sequences.Decode(ids[..2], slot: 1, firstPosition: ids.Length)];
        float[] pieces =
            [.. sequences.Prefill(ids, chunkTokens, slot: 2), .. sequences.Decode(ids[..2], slot: 2, firstPosition: ids.Length)];

        Assert.That(whole, Has.None.NaN);
        Assert.That(pieces, Is.EqualTo(whole));
    }

    // Another sequence shares the step; the second snapshot is at the step's end, from where one token is decoded.
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.F32)]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.F32)]
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.Bf16)]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.F16)]
    [TestCase(DeltaPrefillForm.Chunked, DeltaStateType.F16, Category = "Exhaustive")]
    [TestCase(DeltaPrefillForm.Recurrent, DeltaStateType.Bf16, Category = "Exhaustive")]
    public void SnapshotsOfSeveralSequencesAtTheEndOfAStep(DeltaPrefillForm form, DeltaStateType stateType)
    {
        int[] ids = Ids(203);
        var options = new StepRunnerOptions(DeltaForm: form);
        using var sequences = new SequenceRunner(TestModels.Tiny, maxSequences: 4, options: options, stateType: stateType);
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

        using var plain = new SequenceRunner(TestModels.Tiny, maxSequences: 4, options: options, stateType: stateType);
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
