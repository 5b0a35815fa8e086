namespace QwenIlgpu.Kernels.Tests;

internal sealed class GatherColumnsTests(PortableTier tier) : PortableTests(tier)
{
    [TestCase(1, 1)]
    [TestCase(7, 131)]
    [TestCase(1, 5120)]
    [TestCase(3, 100)]
    public void CopiesTheColumnsAskedFor(int rows, int columns)
    {
        int[] order = Order(columns);
        float[] x = Seeded.Floats(columns, rows * columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(GatherColumns.Bind(Device.Loader, Device.Upload(x, rows, columns), Device.Upload(order), y));

        Assert.That(Device.Download(y), Is.EqualTo(Expected(x, columns, order)));
    }

    [Test]
    public void TakesColumnsTwiceOrNotAtAll()
    {
        int[] order = [6, 0, 6];
        float[] x = Seeded.Floats(1, 2 * 7);
        Matrix<float> y = Device.Poisoned<float>(2, 3);

        Device.Run(GatherColumns.Bind(Device.Loader, Device.Upload(x, 2, 7), Device.Upload(order), y));

        Assert.That(Device.Download(y), Is.EqualTo(Expected(x, 7, order)));
    }

    [TestCase(1)]
    [TestCase(4)]
    public void GivesPartsTheBitsOfTheWhole(int rows)
    {
        int[] order = Order(131);
        float[] x = Seeded.Floats(rows, rows * 131);
        Matrix<float> y = default;

        float[] copied = RunInParts(
            () => [GatherColumns.Bind(Device.Loader, Device.Upload(x, rows, 131), Device.Upload(order), y = Device.Poisoned<float>(rows, 131))],
            () => Device.Download(y));

        Assert.That(copied, Is.EqualTo(Expected(x, 131, order)));
    }

    [Test]
    public void RejectsAnotherNumberOfRows() => Assert.That(
        () => GatherColumns.Bind(Device.Loader, Device.Poisoned<float>(3, 8), Device.Upload(1, 2), Device.Poisoned<float>(2, 2)),
        Throws.ArgumentException.With.Message.EqualTo("gather_columns: rows of y is 2, rows of x is 3"));

    [Test]
    public void RejectsAnotherNumberOfColumns() => Assert.That(
        () => GatherColumns.Bind(Device.Loader, Device.Poisoned<float>(3, 8), Device.Upload(1, 2), Device.Poisoned<float>(3, 8)),
        Throws.ArgumentException.With.Message.EqualTo("gather_columns: columns of y is 8, number of columns asked for is 2"));

    private static int[] Order(int columns)
    {
        int[] order = [.. Enumerable.Range(0, columns)];
        new Random(columns).Shuffle(order);
        return order;
    }

    private static IEnumerable<float> Expected(float[] x, int columns, int[] order) =>
        x.Chunk(columns).SelectMany(row => order.Select(column => row[column]));
}
