using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

[SamplingTiers]
internal sealed class ForbidIdsTests(string tierName) : KernelTests
{
    private SamplingTier Tier => SamplingTier.Named(tierName);

    [TearDown]
    public void ReleaseTierBuffers() => WarpDevice.ReleaseBuffers();

    [TestCase(1, 131)]
    [TestCase(5, 2053)]
    [TestCase(2, 248_320)]
    public void GivesIdsOfEachRowTheLowestLogitAndLeavesTheOthers(int rows, int columns)
    {
        int[] ids = [0, 7, columns / 2, columns - 1];
        float[] logits = Seeded.Floats(columns, rows * columns);
        Matrix<float> view = Tier.Device.Upload(logits, rows, columns);

        Tier.Device.Run(ForbidIds.Bind(Tier.Loader, view, Tier.Device.Upload(ids)));

        float[] actual = Tier.Device.Download(view);
        for (int i = 0; i < logits.Length; i++)
            Assert.That(actual[i], Is.EqualTo(ids.Contains(i % columns) ? float.MinValue : logits[i]));
    }

    [Test]
    public void RejectsAnEmptyList() => Assert.That(
        () => ForbidIds.Bind(Tier.Loader, Tier.Device.Poisoned<float>(1, 8), default(ArrayView<int>)),
        Throws.ArgumentException.With.Message.EqualTo("forbid_ids: there are no ids"));
}
