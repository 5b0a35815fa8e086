using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class EmbeddingTests(PortableTier tier) : PortableTests(tier)
{
    private static IEnumerable<TestCaseData> Cases() =>
        from type in Enum.GetValues<WeightType>()
        from columns in new[] { 1, 7, 12, 67, 256, 5120 }
        select new TestCaseData(type, columns);

    [TestCaseSource(nameof(Cases))]
    public void CopiesTheRowsOfTheIds(object weightType, int columns)
    {
        var type = (WeightType)weightType;
        int[] ids = [3, 0, 12, 3, 7];
        UInt4[] packed = DenseReference.Pack(type, Seeded.Floats(columns, 13 * columns), 13, columns);
        Matrix<float> y = Device.Poisoned<float>(ids.Length, columns);

        Device.Run(Embedding.Bind(Device.Loader, Device.Upload(ids), WeightMatrix.Dense(type, Device.Upload(packed), 13, columns), y));

        double[] table = DenseReference.Unpack(type, packed, 13, columns);
        Assert.That(Device.Download(y), Is.EqualTo(ids.SelectMany(id => table.Skip(id * columns).Take(columns)).Select(v => (float)v)));
    }

    [TestCase(1)]
    [TestCase(4)]
    [TestCase(7)]
    public void GivesPartsTheBitsOfTheWhole(int count)
    {
        int[] ids = [.. Enumerable.Range(0, count).Select(i => 5 * i % 13)];
        UInt4[] packed = DenseReference.Pack(WeightType.Bf16, Seeded.Floats(3, 13 * 67), 13, 67);
        Matrix<float> y = default;

        float[] rows = RunInParts(
            () =>
            [
                Embedding.Bind(
                    Device.Loader, Device.Upload(ids), WeightMatrix.Dense(WeightType.Bf16, Device.Upload(packed), 13, 67),
                    y = Device.Poisoned<float>(count, 67)),
            ],
            () => Device.Download(y));

        double[] table = DenseReference.Unpack(WeightType.Bf16, packed, 13, 67);
        Assert.That(rows, Is.EqualTo(ids.SelectMany(id => table.Skip(id * 67).Take(67)).Select(v => (float)v)));
    }

    private static IEnumerable<TestCaseData> QuantizedCases() =>
        from scaleType in new[] { WeightType.F16, WeightType.Bf16 }
        from shape in new[] { (1, 32), (67, 32), (96, 32), (100, 64), (256, 128), (1000, 1024), (5120, 128), (5120, 5120) }
        select new TestCaseData(scaleType, shape.Item1, shape.Item2);

    [TestCaseSource(nameof(QuantizedCases))]
    public void TakesRowsOfAnInt8TableExactly(object scaleType, int columns, int groupSize)
    {
        Int8Reference table = Quantized.RandomInt8(37, columns, groupSize, (WeightType)scaleType);

        float[] y = RunQuantized(columns, (ids, y) => Embedding.Bind(
            Device.Loader, ids, Quantized.Upload(Device, table, (WeightType)scaleType), y));

        Assert.That(y, Is.EqualTo(QuantizedRows(table.Unpack((WeightType)scaleType), columns)));
    }

    [TestCaseSource(nameof(QuantizedCases))]
    public void TakesRowsOfAnInt4TableExactly(object scaleType, int columns, int groupSize)
    {
        foreach (bool hasZeros in new[] { false, true })
        {
            Int4Reference table = Quantized.RandomInt4(37, columns, groupSize, (WeightType)scaleType, hasZeros);

            float[] y = RunQuantized(columns, (ids, y) => Embedding.Bind(
                Device.Loader, ids, Quantized.Upload(Device, table, (WeightType)scaleType), y));

            Assert.That(y, Is.EqualTo(QuantizedRows(table.Unpack((WeightType)scaleType), columns)));
        }
    }

    private static readonly int[] QuantizedIds = [3, 0, 12, 3, 36, 16, 31];

    private static float[] RunQuantized(int columns, Func<ArrayView<int>, Matrix<float>, Launch> bind)
    {
        Matrix<float> y = Device.Poisoned<float>(QuantizedIds.Length, columns);
        Device.Run(bind(Device.Upload(QuantizedIds), y));
        return Device.Download(y);
    }

    private static IEnumerable<float> QuantizedRows(double[] table, int columns) =>
        QuantizedIds.SelectMany(id => table.Skip(id * columns).Take(columns)).Select(v => (float)v);

    [Test]
    [Category(MachineFixtures.Slow)]
    public void ReadsRowsBeyondTwoGigabytes()
    {
        const int Rows = 1_100_000;
        const int Columns = 1024;                                                           // 2.25 GB of bf16
        ArrayView<UInt4> data = Device.Uninitialised<UInt4>(DenseLayout.Bytes(WeightType.Bf16, Rows, Columns) / 16);
        float[] row = Seeded.Floats(11, Columns);
        UInt4[] packed = DenseReference.Pack(WeightType.Bf16, row, 1, Columns);
        data.SubView(data.Length - packed.Length, packed.Length).CopyFromCPU(Device.Stream, packed);
        Matrix<float> y = Device.Poisoned<float>(1, Columns);

        Device.Run(Embedding.Bind(Device.Loader, Device.Upload(Rows - 1), WeightMatrix.Dense(WeightType.Bf16, data, Rows, Columns), y));

        Assert.That(Device.Download(y), Is.EqualTo(row.Select(v => Bf16.ToFloat(Bf16.FromFloat(v)))));
    }

    [Test]
    public void RefusesFp4() => Assert.That(
        () => Embedding.Bind(Device.Loader, Device.Upload(1), Quantized.PoisonedFp4(Device, 4, 64), Device.Poisoned<float>(1, 64)),
        Throws.TypeOf<NotSupportedException>().With.Message.EqualTo("embedding: table is FP4 g16 [4, 64]; tables are plain, INT4 or INT8"));
    public void RejectsAnFp8Table() => Assert.That(
        () => Embedding.Bind(
            Device.Loader, Device.Upload(1), Quantized.Upload(Device, Quantized.RandomFp8(16, 32, 32)), Device.Poisoned<float>(1, 32)),
        Throws.InstanceOf<NotSupportedException>().With.Message.EqualTo(
            "embedding: table is FP8 g32 [16, 32]; tables are plain, INT4 or INT8"));

    [Test]
    public void RejectsAnotherNumberOfIds() => Assert.That(
        () => Embedding.Bind(
            Device.Loader,
            Device.Upload(1, 2, 3),
            WeightMatrix.Dense(WeightType.F32, Device.Poisoned<UInt4>(8), 4, 8),
            Device.Poisoned<float>(2, 8)),
        Throws.ArgumentException.With.Message.EqualTo("embedding: rows of y is 2, number of ids is 3"));
}
