using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What a slot of 64 gets and becomes between steps, over the tokenizer's 248,077 ids.</summary>
internal static class SlotSlices
{
    private const int Vocabulary = 248_077;
    private const int Slots = 64;
    private const int PooledLayers = 48;

    public static IEnumerable<Slice> All =>
    [
        new(["ClearSeenKernel", "MarkPromptKernel"], Admit),
        new(["SetBiasKernel", "SetMaskKernel"], Restrict),
        new("FeedTokensKernel", Feed),
        new("AdvanceSlotsKernel", Advance),
        new("SetSlotKernel", Set),
    ];

    private static SliceResult Admit(TestDevice device)
    {
        SamplingSlots slots = Poisoned(device);
        int[] prompt = [Vocabulary - 1, 0, 3, 3, 0, .. Enumerable.Range(0, 1000).Select(i => i * 7919 % Vocabulary)];
        device.Run(SlotAdmission.Bind(device.Loader, slots, device.Upload(1, prompt.Length), device.Upload([.. prompt, 5, 5])));
        (int[] seen, int[] drawIndex) = (device.Download(slots.Seen.Row(1)), device.Download(slots.DrawIndex));
        return new SliceResult(() =>
        {
            var expected = new int[Vocabulary];
            foreach (int id in prompt)
                expected[id] = SamplingSlots.InPrompt;
            Assert.That(seen.AsSpan().SequenceEqual(expected), "seen");
            Assert.That(drawIndex, Is.EqualTo(new[] { -1, 0, -1 }));
        }).Leaving(seen).Leaving(drawIndex);
    }

    private static SliceResult Restrict(TestDevice device)
    {
        SamplingSlots slots = Poisoned(device);
        ArrayView<int> request = device.Upload(2, 2);
        ArrayView<int> ids = device.Upload(Vocabulary - 1, 2, 4);
        device.Run(
            SlotAdmission.BindBias(device.Loader, slots, request, ids, device.Upload(1.5f, float.NegativeInfinity, 9)),
            SlotAdmission.BindMask(device.Loader, slots, request, ids));
        (float[] bias, uint[] allowed) = (device.Download(slots.Bias.Row(2)), device.Download(slots.Allowed.Row(2)));
        return new SliceResult(() =>
        {
            var expected = new float[Vocabulary];
            expected[^1] = 1.5f;
            expected[2] = float.NegativeInfinity;
            var mask = new uint[(Vocabulary + 31) / 32];
            mask[^1] |= 1u << ((Vocabulary - 1) % 32);
            mask[0] |= 4;
            Assert.That(bias.AsSpan().SequenceEqual(expected), "bias");
            Assert.That(allowed.AsSpan().SequenceEqual(mask), "mask");
        }).Leaving(bias).Leaving(allowed);
    }

    // Slot 0 pads; every third slot has nothing left to draw.
    private static SliceResult Feed(TestDevice device)
    {
        DecodeSlots slots = Decoding(device);
        ArrayView<int>[] outputs = [.. Enumerable.Range(0, 4).Select(i => device.Poisoned<int>(i < 3 ? Slots : PooledLayers * Slots))];
        device.Run(DecodeFeedback.BindFeed(
            device.Loader, slots, device.Upload([.. Enumerable.Range(0, Slots).Select(i => Slots - 1 - i)]), outputs[0], outputs[1], outputs[2],
            outputs[3], poolRowsPerLayer: Slots - 1));
        int[][] actual = [.. outputs.Select(o => device.Download(o))];
        return new SliceResult(() =>
        {
            int[] fed = [.. Enumerable.Range(0, Slots).Select(i => Slots - 1 - i).Select(s => s % 3 == 0 ? 0 : s)];
            Assert.That(actual[0], Is.EqualTo(fed.Select(s => s == 0 ? 0 : 1000 + s)), "tokens");
            Assert.That(actual[1], Is.EqualTo(fed.Select(s => s == 0 ? 0 : 262_000 + s)), "positions");
            Assert.That(actual[2], Is.EqualTo(fed), "slots");
            Assert.That(
                actual[3],
                Is.EqualTo(Enumerable.Range(0, PooledLayers).SelectMany(layer => fed.Select(s => s == 0 ? 0 : (layer * (Slots - 1)) + s))), "pool");
        }).Leaving(actual[0]).Leaving(actual[1]).Leaving(actual[2]).Leaving(actual[3]);
    }

    // Odd slots draw an end id; even ones another, and none.
    private static SliceResult Advance(TestDevice device)
    {
        const int EndId = 248_046;
        DecodeSlots slots = Decoding(device);
        int[] rows = [.. Enumerable.Range(1, Slots - 1)];
        int[] ids = [.. rows.Select(s => s % 2 == 1 ? EndId : s % 4 == 0 ? -1 : 50 + s)];
        device.Run(DecodeFeedback.BindAdvance(device.Loader, slots, device.Upload(rows), device.Upload(ids), device.Upload(EndId, EndId - 1)));
        (int[] tokens, int[] positions, int[] remaining) =
            (device.Download(slots.Token), device.Download(slots.Position), device.Download(slots.Remaining));
        return new SliceResult(() =>
        {
            foreach (int s in rows)
            {
                int drawn = ids[s - 1];
                bool ends = drawn < 0 || (drawn == EndId && s % 5 != 0);
                Assert.That(tokens[s], Is.EqualTo(Math.Max(drawn, 0)), $"token of {s}");
                Assert.That(positions[s], Is.EqualTo(262_001 + s), $"position of {s}");
                Assert.That(remaining[s], Is.EqualTo(ends ? 0 : (s % 3) - 1), $"rest of {s}");
            }
        }).Leaving(tokens).Leaving(positions).Leaving(remaining);
    }

    private static SliceResult Set(TestDevice device)
    {
        DecodeSlots slots = Decoding(device);
        device.Run(DecodeFeedback.BindSet(device.Loader, slots, device.Upload(63, 248_000, 262_143, 80, 1)));
        int[][] actual = [.. new[] { slots.Token, slots.Position, slots.Remaining, slots.EndsAtEndId }.Select(v => device.Download(v))];
        return new SliceResult(() =>
        {
            Assert.That(actual.Select(v => v[63]), Is.EqualTo(new[] { 248_000, 262_143, 80, 1 }));
            Assert.That(actual.Select(v => v[62]), Is.EqualTo(new[] { 1062, 262_062, 62 % 3, 1 }), "its neighbour");
        }).Leaving(actual[0]).Leaving(actual[1]).Leaving(actual[2]).Leaving(actual[3]);
    }

    private static SamplingSlots Poisoned(TestDevice device) =>
        SamplingSlots.In(device.Poisoned<byte>(SamplingSlots.SizeInBytes(3, Vocabulary)), 3, Vocabulary);

    private static DecodeSlots Decoding(TestDevice device)
    {
        int[] all = [.. Enumerable.Range(0, Slots)];
        return new DecodeSlots(
            device.Upload(Array.ConvertAll(all, s => 1000 + s)), device.Upload(Array.ConvertAll(all, s => 262_000 + s)),
            device.Upload(Array.ConvertAll(all, s => s % 3)), device.Upload(Array.ConvertAll(all, s => s % 5 == 0 ? 0 : 1)));
    }
}
