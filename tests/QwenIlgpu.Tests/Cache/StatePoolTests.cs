using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>Where the states of slots and layers lie, and that padding rows have one for all layers.</summary>
[NonParallelizable]
internal sealed class StatePoolTests
{
    private const int Sequences = 3;

    [Test]
    public void EverySlotOfALayerHasAPlaceAndSlotZeroOneForAll([Values] DeltaStateType stateType)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, maxSequences: Sequences, stateType: stateType);
        ModelState state = sequences.Runner.State;
        int layers = TestModels.Tiny.Config.NumLinearAttentionLayers;
        var places = new HashSet<int>();
        for (int layer = 0; layer < TestModels.Tiny.Config.NumHiddenLayers; layer++)
        {
            if (state.DeltaLayers[layer] is not { } slots)
                continue;
            int before = state.DeltaLayersBefore(layer);
            Assert.That(ModelState.PoolRow(state.Capacity, before, 0), Is.Zero);
            for (int slot = 1; slot < state.Capacity.StateSlots; slot++)
            {
                int row = ModelState.PoolRow(state.Capacity, before, slot);
                Assert.That(places.Add(row), $"row {row} is taken");
                Assert.That(Start(slots.States.Slot<byte>(slot)), Is.EqualTo(Start(state.DeltaPool.States.Slot<byte>(row))));
                Assert.That(Start(slots.Ring.Row(slot)), Is.EqualTo(Start(state.DeltaPool.Ring.Row(row))));
            }
        }

        Assert.That(places, Is.EquivalentTo(Enumerable.Range(1, layers * (state.Capacity.StateSlots - 1))));
        long slotBytes = TestModels.Tiny.Config.StateBytesPerSequence(stateType.ElementBytes()) / layers;
        Assert.That(
            state.DeltaPool.States.Data.Length + (state.DeltaPool.Ring.Data.Length * sizeof(float)), Is.EqualTo(((layers * (state.Capacity.StateSlots - 1)) + 1) * slotBytes));
    }

    // Three sequences, two steps: the fourth row pads. Alone a sequence has no padding beside it.
    [Test]
    public void PaddingRowsLeaveEverySequenceAlone([Values] DeltaStateType stateType)
    {
        int[] ids = [.. Enumerable.Range(0, 40).Select(i => ((i * 131) + 7) % 2000)];
        using var together = new SequenceRunner(TestModels.Tiny, maxSequences: Sequences, stateType: stateType);
        using var alone = new SequenceRunner(TestModels.Tiny, maxSequences: Sequences, stateType: stateType);
        for (int slot = 1; slot <= Sequences; slot++)
        {
            together.Prefill(ids[slot..(10 * slot)], slot: slot);
            alone.Prefill(ids[slot..(10 * slot)], slot: slot);
        }

        for (int step = 0; step < 2; step++)
        {
            StepSequence[] rows =
                [.. Enumerable.Range(1, Sequences).Select(s => new StepSequence(s, (9 * s) + step, ids.AsMemory(s + step, 1), LogitsWanted.Last))];
            float[] logits = together.Runner.ReadLogits(together.Runner.Run(StepKind.Decode, rows, samples: false));
            for (int slot = 1; slot <= Sequences; slot++)
            {
                float[] expected = alone.Decode(ids[(slot + step)..(slot + step + 1)], slot, (9 * slot) + step);
                Assert.That(together.Row(logits, slot - 1), Is.EqualTo(expected), $"slot {slot}, step {step}");
            }
        }
    }

    // The rows of the pool of 64 sequences are more integers than short prompts take.
    [Test]
    public void AStepOfManySequencesFitsItsInputs()
    {
        const int Most = 64;
        EngineCapacity capacity = new EngineOptions { MaxSequences = Most, ContextTokens = 64, CacheTokens = 64, PrefillChunkTokens = 64 }
            .Resolve(TestModels.Tiny.Config);
        using var runner = new StepRunner(TestModels.Tiny, capacity);
        StepSequence[] rows = [.. Enumerable.Range(1, Most).Select(slot => new StepSequence(slot, 0, new[] { slot }, LogitsWanted.Last))];

        Assert.That(runner.ReadLogits(runner.Run(StepKind.Decode, rows, samples: false)), Has.None.NaN);
    }

    private static long Start<T>(ArrayView<T> view)
        where T : unmanaged => ((IContiguousArrayView)view).IndexInBytes;
}
