namespace QwenIlgpu.Kernels.Tests;

/// <summary>What a wrong index in a matmul would do, done to its operands, does not go unnoticed.</summary>
internal sealed class MatMulFaultTests(PortableTier tier) : PortableTests(tier)
{
    // [N, K]: K ends inside a tile, and there is a second group.
    private const int N = 37;
    private const int K = 200;

    private readonly Int4Reference wide = Quantized.RandomInt4(N, K, 64, WeightType.F16, hasZeros: true);
    private readonly Int4Reference narrow = Quantized.RandomInt4(N, K, 32, WeightType.F16, hasZeros: false);
    private readonly Int8Reference bytes = Quantized.RandomInt8(N, K, 64, WeightType.F16);
    private readonly UInt4[] dense = DenseReference.Pack(WeightType.Bf16, Seeded.Floats(5, N * K), N, K);

    [TestCase(1)]
    [TestCase(4)]
    public void IsRightWithoutAFault(int m) => Assert.That(Deviations(m), Has.All.LessThan(1));

    // The lanes of rows 2 and 4 of a tile; of plain weights two words of a row.
    [TestCase(1)]
    [TestCase(4)]
    public void IsWrongWithSwappedLanes(int m) => Assert.That(
        Deviations(m, codes: SwapLanes, rows: w => [w[1], w[0], .. w[2..]]), Has.All.GreaterThan(100));

    [TestCase(1)]
    [TestCase(4)]
    public void IsWrongWithTheScaleOfTheNeighbour(int m) =>
        Assert.That(Deviations(m, scales: ScalesOfTheFirstGroup).SkipLast(1), Has.All.GreaterThan(100));

    [TestCase(1)]
    [TestCase(4)]
    public void IsWrongWithTheZeroOfTheNeighbour(int m) => Assert.That(
        Deviations(m, zeros: z => [.. z[..16], .. z[..16], .. z[32..]])[0], Is.GreaterThan(100));

    [TestCase(1)]
    [TestCase(4)]
    public void IsWrongWithoutTheLastK(int m) => Assert.That(Deviations(m, lastK: 0), Has.All.GreaterThan(100));

    // Of each storage, in units of what is allowed.
    private double[] Deviations(
        int m, Func<UInt4[], UInt4[]>? codes = null, Func<ushort[], ushort[]>? scales = null, Func<byte[], byte[]>? zeros = null,
        Func<UInt4[], UInt4[]>? rows = null, float lastK = 1)
    {
        float[] x = Seeded.Floats(m, m * K);
        float[] bent = [.. x.Select((v, i) => i % K == K - 1 ? v * lastK : v)];
        Matrix<float> xs = Device.Upload(bent, m, K);
        Matrix<float>[] ys = [.. Enumerable.Range(0, 4).Select(_ => Device.Poisoned<float>(m, N))];
        WeightMatrix wideMatrix = Quantized.Upload(Device, wide, WeightType.F16) with
        {
            Data = Device.Upload(Bent(codes, wide.Codes)),
            Scales = Device.Upload(Bent(scales, wide.Scales)),
            Zeros = Device.Upload(Bent(zeros, wide.Zeros)),
        };
        WeightMatrix narrowMatrix = Quantized.Upload(Device, narrow, WeightType.F16) with
        {
            Data = Device.Upload(Bent(codes, narrow.Codes)),
            Scales = Device.Upload(Bent(scales, narrow.Scales)),
        };
        WeightMatrix byteMatrix = Quantized.Upload(Device, bytes, WeightType.F16) with
        {
            Data = Device.Upload(Bent(codes, bytes.Codes)),
            Scales = Device.Upload(Bent(scales, bytes.Scales)),
        };
        var denseMatrix = WeightMatrix.Dense(WeightType.Bf16, Device.Upload(Bent(rows, dense)), N, K);
        Device.Run(
            PortableMatMul.Bind(Device.Loader, xs, wideMatrix, ys[0]),
            PortableMatMul.Bind(Device.Loader, xs, narrowMatrix, ys[1]),
            PortableMatMul.Bind(Device.Loader, xs, byteMatrix, ys[2]),
            PortableMatMul.Bind(Device.Loader, xs, denseMatrix, ys[3]));
        double[][] weights =
        [
            wide.Unpack(WeightType.F16), narrow.Unpack(WeightType.F16), bytes.Unpack(WeightType.F16),
            DenseReference.Unpack(WeightType.Bf16, dense, N, K),
        ];
        return [.. ys.Zip(weights, (y, w) => MatMulBound.Deviation(Device.Download(y), Seeded.ToDouble(x), w, m, N, K))];
    }

    private static T[] Bent<T>(Func<T[], T[]>? bend, T[] values) => bend is null ? values : bend(values);

    private static UInt4[] SwapLanes(UInt4[] codes) =>
        [.. codes.Select((_, i) => codes[(i % 32 / 4) switch { 2 => i + 8, 4 => i - 8, _ => i }])];

    private static ushort[] ScalesOfTheFirstGroup(ushort[] scales) => [.. scales[..16], .. scales[..16], .. scales[32..]];
}
