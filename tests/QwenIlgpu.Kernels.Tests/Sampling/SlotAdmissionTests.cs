using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class SlotAdmissionTests(PortableTier tier) : PortableTests(tier)
{
    private const int Slots = 3;

    [TestCase(7)]
    [TestCase(1009)]
    [TestCase(248_077)]
    public void ClearsTheSlotAndMarksThePrompt(int vocabulary)
    {
        SamplingSlots slots = Poisoned(vocabulary);
        int[] prompt = [vocabulary - 1, 0, 3, 3, 0];

        Device.Run(SlotAdmission.Bind(Device.Loader, slots, Device.Upload(1, prompt.Length), Device.Upload([.. prompt, 5, 5])));

        var expected = new int[vocabulary];
        foreach (int id in prompt)
            expected[id] = SamplingSlots.InPrompt;
        Assert.That(Device.Download(slots.Seen.Row(1)), Is.EqualTo(expected));
        Assert.That(Device.Download(slots.DrawIndex), Is.EqualTo(new[] { -1, 0, -1 }));
        Assert.That(Device.Download(slots.Seen.Row(0)), Has.All.EqualTo(-1));
        Assert.That(Device.Download(slots.Seen.Row(2)), Has.All.EqualTo(-1));
    }

    [TestCase(7)]
    [TestCase(1009)]
    public void SetsBiasAndMask(int vocabulary)
    {
        SamplingSlots slots = Poisoned(vocabulary);
        ArrayView<int> request = Device.Upload(2, 2);
        ArrayView<int> ids = Device.Upload(vocabulary - 1, 2, 4);

        Device.Run(
            SlotAdmission.BindBias(Device.Loader, slots, request, ids, Device.Upload(1.5f, float.NegativeInfinity, 9)),
            SlotAdmission.BindMask(Device.Loader, slots, request, ids));

        var bias = new float[vocabulary];
        bias[^1] = 1.5f;
        bias[2] = float.NegativeInfinity;
        var allowed = new uint[(vocabulary + 31) / 32];
        allowed[^1] |= 1u << ((vocabulary - 1) % 32);
        allowed[0] |= 4;
        Assert.That(Device.Download(slots.Bias.Row(2)), Is.EqualTo(bias));
        Assert.That(Device.Download(slots.Allowed.Row(2)), Is.EqualTo(allowed));
        Assert.That(Device.Download(slots.Bias.Row(1)), Has.All.NaN);
    }

    [Test]
    public void RejectsMemoryThatIsTooSmall()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => SamplingSlots.In(Device.Poisoned<byte>(1000), 2, 100))!;

        Assert.That(error.Message,
            Is.EqualTo($"sampling_slots: 1000 bytes given, 2 slots of 100 tokens need {SamplingSlots.SizeInBytes(2, 100)}"));
    }

    private static SamplingSlots Poisoned(int vocabulary) =>
        SamplingSlots.In(Device.Poisoned<byte>(SamplingSlots.SizeInBytes(Slots, vocabulary)), Slots, vocabulary);
}
