namespace QwenIlgpu.Kernels.Tests;

internal sealed class GatherRowsTests(PortableTier tier) : PortableTests(tier)
{
    [TestCase(1)]
    [TestCase(131)]
    [TestCase(5120)]
    public void CopiesTheRowsAskedFor(int columns)
    {
        int[] rows = [6, 0, 6, 2];
        float[] x = Seeded.Floats(columns, 7 * columns);
        Matrix<float> y = Device.Poisoned<float>(rows.Length, columns);

        Device.Run(GatherRows.Bind(Device.Loader, Device.Upload(x, 7, columns), Device.Upload(rows), y));

        Assert.That(Device.Download(y), Is.EqualTo(rows.SelectMany(r => x.AsSpan(r * columns, columns).ToArray())));
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void GivesPartsTheBitsOfTheWhole(int count)
    {
        int[] rows = [.. Enumerable.Range(0, count).Select(i => 3 * i % 7)];
        float[] x = Seeded.Floats(count, 7 * 131);
        Matrix<float> y = default;

        float[] copied = RunInParts(
            () => [GatherRows.Bind(Device.Loader, Device.Upload(x, 7, 131), Device.Upload(rows), y = Device.Poisoned<float>(count, 131))],
            () => Device.Download(y));

        Assert.That(copied, Is.EqualTo(rows.SelectMany(r => x.AsSpan(r * 131, 131).ToArray())));
    }

    [Test]
    public void RejectsAnotherWidth() => Assert.That(
        () => GatherRows.Bind(Device.Loader, Device.Poisoned<float>(3, 8), Device.Upload(1), Device.Poisoned<float>(1, 9)),
        Throws.ArgumentException.With.Message.EqualTo("gather_rows: columns of y is 9, columns of x is 8"));
}
