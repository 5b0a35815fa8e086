namespace QwenIlgpu.Tests;

/// <summary>What moves of a sequence: its states from slot to slot, states and pages to the host and back.</summary>
[NonParallelizable]
internal sealed class StateTransferTests
{
    [Test]
    public void ASequenceGoesOnFromACopyOfItsStates()
    {
        int[] ids = Ids(150);
        using var sequences = new SequenceRunner(TestModels.Tiny);
        sequences.Prefill(ids[..128], slot: 1);
        sequences.Prefill(Ids(90), slot: 3);

        sequences.Runner.State.CopyState(1, 3);
        sequences.SharePages(3, owner: 1, 128);
        float[] actual = sequences.PrefillFrom(128, ids[128..], slot: 3);

        Assert.That(actual, Is.EqualTo(sequences.PrefillFrom(128, ids[128..], slot: 1)));
    }

    [Test]
    public void ASequenceGoesOnInAnotherSlotAndOtherPagesFromWhatTheHostKept([Values] KvType kvType, [Values] DeltaStateType stateType)
    {
        int[] ids = Ids(150);
        const int Offset = 3;
        using var sequences = new SequenceRunner(TestModels.Tiny, kvType, stateType: stateType);
        ModelState state = sequences.Runner.State;
        using var host = new HostBuffer<byte>(TestModels.Tiny.Device, Offset + state.StateBytesPerSlot + (3 * state.PageBytes));
        sequences.Prefill(ids[..140], slot: 1);
        ReadOnlySpan<int> from = sequences.PagesOf(1);
        state.DownloadState(1, host, Offset);
        for (int block = 0; block < 3; block++)
            state.DownloadPage(from[block], host, Offset + state.StateBytesPerSlot + (block * state.PageBytes));
        float[] expected = sequences.Decode(ids[140..], slot: 1, firstPosition: 140);

        sequences.Prefill(Ids(200), slot: 2);
        ReadOnlySpan<int> to = sequences.PagesOf(2);
        for (int block = 0; block < 3; block++)
            state.UploadPage(to[block], host, Offset + state.StateBytesPerSlot + (block * state.PageBytes));
        state.UploadState(2, host, Offset);

        Assert.That(sequences.Decode(ids[140..], slot: 2, firstPosition: 140), Is.EqualTo(expected));
    }

    // 2 attention layers · (keys + values) · 2 heads · 64 · 64 tokens; 6 delta layers of 6 heads of 64 · 64 and a ring of 4 rows of 640 floats.
    [TestCase(KvType.Bf16, DeltaStateType.F32, 65_536, 6 * (98_304 + 10_240))]
    [TestCase(KvType.F32, DeltaStateType.F16, 131_072, 6 * (49_152 + 10_240))]
    [TestCase(KvType.Int4, DeltaStateType.F32, 2 * 2 * 2 * 64 * (32 + 4), 6 * (98_304 + 10_240))]
    [TestCase(KvType.K8V4, DeltaStateType.F32, 2 * 2 * 64 * (64 + 2 + 32 + 4), 6 * (98_304 + 10_240))]
    public void BytesOfASlotAndOfAPage(KvType kvType, DeltaStateType stateType, long pageBytes, long stateBytes)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, kvType, stateType: stateType);

        Assert.That((sequences.Runner.State.PageBytes, sequences.Runner.State.StateBytesPerSlot), Is.EqualTo((pageBytes, stateBytes)));
    }

    [Test]
    public void WhatIsNotThereIsRefused()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny);
        ModelState state = sequences.Runner.State;
        using var host = new HostBuffer<byte>(TestModels.Tiny.Device, 100);

        Assert.That(() => state.CopyState(1, 9), Throws.ArgumentException.With.Message.EqualTo("copy_state: slot 9 is not one of 0 to 8"));
        Assert.That(() => state.DownloadPage(-1, host, 0), Throws.ArgumentException.With.Message.Contains("page -1"));
        Assert.That(() => state.SetPage(1, 16, 1), Throws.ArgumentException.With.Message.Contains("pages 16 to 17 are given, a sequence has at most 16"));
        Assert.That(() => state.DownloadState(1, host, 90), Throws.ArgumentException.With.Message.Contains("the host buffer 100, of which 90 come before"));
    }

    private static int[] Ids(int count) => [.. Enumerable.Range(0, count).Select(i => ((i * 131) + 7) % 2000)];
}
