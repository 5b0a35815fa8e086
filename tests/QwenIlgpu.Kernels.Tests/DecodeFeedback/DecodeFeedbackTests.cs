using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class DecodeFeedbackTests(PortableTier tier) : PortableTests(tier)
{
    private static readonly int[] EndIds = [90, 91];

    [Test]
    public void FeedsActiveSlotsAndPadsTheRest()
    {
        DecodeSlots slots = Slots(token: [7, 11, 12, 13], position: [9, 101, 102, 103], remaining: [5, 1, 0, 3], endsAtEndId: [1, 1, 1, 1]);
        ArrayView<int>[] outputs = [Device.Poisoned<int>(5), Device.Poisoned<int>(5), Device.Poisoned<int>(5), Device.Poisoned<int>(15)];

        Device.Run(DecodeFeedback.BindFeed(
            Device.Loader, slots, Device.Upload(3, 2, 1, 0, 0), outputs[0], outputs[1], outputs[2], outputs[3], poolRowsPerLayer: 4));

        Assert.That(Device.Download(outputs[0]), Is.EqualTo(new[] { 13, 0, 11, 0, 0 }));
        Assert.That(Device.Download(outputs[1]), Is.EqualTo(new[] { 103, 0, 101, 0, 0 }));
        Assert.That(Device.Download(outputs[2]), Is.EqualTo(new[] { 3, 0, 1, 0, 0 }));
        Assert.That(Device.Download(outputs[3]), Is.EqualTo(new[] { 3, 0, 1, 0, 0, 7, 0, 5, 0, 0, 11, 0, 9, 0, 0 }), "rows of the pool");
    }

    [Test]
    public void FeedsAModelWithoutPooledLayers()
    {
        DecodeSlots slots = Slots(token: [7, 11], position: [9, 101], remaining: [5, 1], endsAtEndId: [1, 1]);
        ArrayView<int>[] outputs = [Device.Poisoned<int>(2), Device.Poisoned<int>(2), Device.Poisoned<int>(2)];

        Device.Run(DecodeFeedback.BindFeed(
            Device.Loader, slots, Device.Upload(1, 0), outputs[0], outputs[1], outputs[2], outputs[2].SubView(0, 0), poolRowsPerLayer: 4));

        Assert.That(Device.Download(outputs[2]), Is.EqualTo(new[] { 1, 0 }));
    }

    // Slot 1 draws an ordinary token, 2 an end id, 3 an end id that it ignores, 4 its last token, 5 nothing; row 2 is padding.
    [Test]
    public void AdvancesAndEndsSlots()
    {
        DecodeSlots slots = Slots([0, 0, 0, 0, 0, 0], [0, 10, 20, 30, 40, 50], [0, 5, 5, 5, 1, 5], [0, 1, 1, 0, 1, 1]);

        Device.Run(DecodeFeedback.BindAdvance(
            Device.Loader, slots, Device.Upload(1, 2, 0, 3, 4, 5), Device.Upload(60, 91, 62, 90, 61, -1), Device.Upload(EndIds)));

        Assert.That(Device.Download(slots.Token), Is.EqualTo(new[] { 0, 60, 91, 90, 61, 0 }));
        Assert.That(Device.Download(slots.Position), Is.EqualTo(new[] { 0, 11, 21, 31, 41, 51 }));
        Assert.That(Device.Download(slots.Remaining), Is.EqualTo(new[] { 0, 4, 0, 4, 0, 0 }));
    }

    [Test]
    public void SetsOneSlotAlone()
    {
        DecodeSlots slots = Slots([1, 2, 3], [4, 5, 6], [7, 8, 9], [0, 0, 0]);

        Device.Run(DecodeFeedback.BindSet(Device.Loader, slots, Device.Upload(1, 20, 50, 80, 1)));

        Assert.That(Device.Download(slots.Token), Is.EqualTo(new[] { 1, 20, 3 }));
        Assert.That(Device.Download(slots.Position), Is.EqualTo(new[] { 4, 50, 6 }));
        Assert.That(Device.Download(slots.Remaining), Is.EqualTo(new[] { 7, 80, 9 }));
        Assert.That(Device.Download(slots.EndsAtEndId), Is.EqualTo(new[] { 0, 1, 0 }));
    }

    [Test]
    public void RejectsAnotherNumberOfRows() => Assert.That(
        () => DecodeFeedback.BindAdvance(Device.Loader, Slots([0], [0], [0], [0]), Device.Upload(0, 0), Device.Upload(0), Device.Upload(EndIds)),
        Throws.ArgumentException.With.Message.EqualTo("advance_slots: length of ids is 1, of logit slots is 2"));

    private static DecodeSlots Slots(int[] token, int[] position, int[] remaining, int[] endsAtEndId) =>
        new(Device.Upload(token), Device.Upload(position), Device.Upload(remaining), Device.Upload(endsAtEndId));
}
