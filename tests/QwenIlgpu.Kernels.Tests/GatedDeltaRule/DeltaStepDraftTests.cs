namespace QwenIlgpu.Kernels.Tests;

/// <summary>Steps whose rows are kept back until it is known how many of them hold.</summary>
[UnderSchedules]
[NonParallelizable]
internal sealed class DeltaStepDraftTests
{
    private const int Slot = 1;

    // The rows that a verification computes and how many of them are accepted, one after another; position 0 first.
    private static readonly (int Rows, int Accepted)[] Verifications = [(1, 1), (4, 0), (8, 8), (8, 3), (1, 0), (5, 4), (3, 2), (2, 2)];

    private static readonly DeltaShape Tiny = new(2, 6, 64, 64);

    private static string Device => WarpDevice.Usual;

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // The same state, rows and outputs as if the rejected rows had never been: bit for bit, whatever is accepted.
    [TestCase(DeltaStateFormat.F32, 2, 6, 64, 64)]
    [TestCase(DeltaStateFormat.F16, 2, 6, 64, 64, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.Bf16, 2, 6, 64, 64, Category = "Exhaustive")]
    [TestCase(DeltaStateFormat.F32, 1, 2, 128, 128)]
    public void AcceptedRowsEqualRowsWithoutDrafts(DeltaStateFormat format, int keyHeads, int valueHeads, int keyHeadDim, int valueHeadDim)
    {
        var shape = new DeltaShape(keyHeads, valueHeads, keyHeadDim, valueHeadDim);
        var all = new DeltaStepSequence(shape, Verifications.Sum(v => v.Rows), 1, 2);
        var drafted = new DeltaStepSlots(WarpDevice.Named(Device), shape, all, 2, format: format, drafts: true);
        var plain = new DeltaStepSlots(WarpDevice.Named(Device), shape, all, 2, format: format);

        // Rows of `all` are taken as drafts in their order; the rejected ones are left out of the sequence.
        var history = new List<int>();
        int next = 0;
        for (int i = 0; i < Verifications.Length; i++)
        {
            (int rows, int accepted) = Verifications[i];
            int start = history.Count;
            DeltaStepSequence sequence = all.Only([.. history, .. Enumerable.Range(next, rows)]);
            float[] y = drafted.Step((Slot, sequence, start, rows));

            // What was accepted of this step is added by the next one only.
            if (start > 0)
                Assert.That(drafted.State(Slot), Is.EqualTo(plain.State(Slot)), $"state before verification {i}");
            else
                Assert.That(drafted.State(Slot), Has.All.Zero, "a sequence that starts");
            history.AddRange(Enumerable.Range(next, accepted));
            next += rows;
            drafted.Accept(Slot, accepted);
            float[] expected = accepted == 0 ? [] : plain.Step((Slot, all.Only([.. history]), start, accepted));
            Assert.That(y[..expected.Length], Is.EqualTo(expected), $"rows of verification {i}");
            Assert.That(y, Has.None.NaN);
            for (int position = Math.Max(0, history.Count - 3); position < history.Count; position++)
                Assert.That(drafted.Carried(Slot, position), Is.EqualTo(plain.Carried(Slot, position)), $"row {position} after {i}");
        }

        // A sequence without rows only adds what was accepted.
        drafted.Step((0, all, 0, 1), (Slot, all, 0, 0));
        Assert.That(drafted.State(Slot), Is.EqualTo(plain.State(Slot)));
        DeltaStepSequence kept = all.Only([.. history]);
        (_, double[] state) = kept.Reference(0);
        DeltaStepTests.AssertClose(drafted.State(Slot), state, "state", DeltaStepTests.StateTolerance(format));
    }

    // Every accepted prefix of a full step, continued: outputs and state by the definition over the accepted rows alone.
    [Test]
    public void EveryPrefixContinuesByTheDefinition([Range(0, DeltaStep.MaxRows)] int accepted)
    {
        const int Start = 5;
        var all = new DeltaStepSequence(Tiny, Start + DeltaStep.MaxRows + 3, 3, 4);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, all, 2, drafts: true);
        slots.Enter(Slot, all, Start);
        slots.Step((Slot, all, Start, DeltaStep.MaxRows));
        slots.Accept(Slot, accepted);
        DeltaStepSequence kept = all.Only([.. Enumerable.Range(0, Start + accepted), .. Enumerable.Range(Start + DeltaStep.MaxRows, 3)]);

        float[] y = slots.Step((Slot, kept, Start + accepted, 3));
        slots.Accept(Slot, 3);
        slots.Step((0, all, 0, 1), (Slot, kept, 0, 0));

        (double[] expected, double[] state) = kept.Reference(Start);
        DeltaStepTests.AssertClose(y, expected[(accepted * Tiny.ValueChannels)..], "y");
        DeltaStepTests.AssertClose(slots.State(Slot), state, "state");
    }

    // Sequences of one batch accept different numbers of rows; each gets the bits that it gets alone.
    [Test]
    public void BatchEqualsEachAlone()
    {
        DeltaStepSequence[] sequences = [.. Enumerable.Range(0, 3).Select(b => new DeltaStepSequence(Tiny, 20, 5, 6 + b))];
        int[] accepted = [2, 0, 4];
        (int, DeltaStepSequence, int, int)[] first = [.. sequences.Select((s, b) => (b, s, 6, 4))];
        (int, DeltaStepSequence, int, int)[] second = [.. sequences.Select((s, b) => (b, s, 6 + accepted[b], 2 + b))];

        DeltaStepSlots together = Enter();
        together.Step(first);
        Accept(together);
        float[] y = together.Step(second);

        DeltaStepSlots alone = Enter();
        foreach ((int, DeltaStepSequence, int, int) part in first)
            alone.Step(part);
        Accept(alone);
        float[] each = [.. second.SelectMany(part => alone.Step(part))];

        Assert.That(y, Is.EqualTo(each));
        for (int b = 0; b < 3; b++)
            Assert.That(together.State(b), Is.EqualTo(alone.State(b)));

        DeltaStepSlots Enter()
        {
            var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, sequences[0], 3, drafts: true);
            for (int b = 0; b < 3; b++)
                slots.Enter(b, sequences[b], 6);
            return slots;
        }

        void Accept(DeltaStepSlots slots)
        {
            for (int b = 0; b < 3; b++)
                slots.Accept(b, accepted[b]);
        }
    }

    // Rows 1 and 2 are replayed in each other's place.
    [Test]
    public void AWrongStashedRowShows()
    {
        var all = new DeltaStepSequence(Tiny, 10, 8, 9);
        var slots = new DeltaStepSlots(WarpDevice.Named(Device), Tiny, all, 2, drafts: true);
        slots.Enter(Slot, all, 3);
        slots.Step((Slot, all, 3, 4));
        slots.ExchangeStashedRows(Slot, 1, 2);
        slots.Accept(Slot, 4);

        float[] y = slots.Step((Slot, all, 7, 3));

        (double[] expected, _) = all.Reference(3);
        Assert.That(Difference.Of(y, expected[(4 * Tiny.ValueChannels)..]).Worst, Is.GreaterThan(1e-3));
    }
}
