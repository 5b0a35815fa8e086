using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>256 rows of a projection of 5120 by the portable matmul.</summary>
internal static class MatMulSlices
{
    private const int M = 3;
    private const int N = 256;
    private const int K = 5120;

    public static IEnumerable<Slice> All =>
    [
        .. from scale in new[] { WeightType.Bf16, WeightType.F16 }
           from slice in new[] { Int4(scale, 128, hasZeros: false), Int4(scale, 32, hasZeros: true), Int8(scale) }
           select slice,
        Fp4,
        Fp8,
        .. Enum.GetValues<WeightType>().Select(Dense),
    ];

    private static Slice Fp4 => new("MatMulKernel<Fp4Weights>", device =>
    {
        Fp4Reference w = Quantized.RandomFp4(N, K);

        // A chain of 64 products in a tile, then a sum of tiles times the global scale; two roundings each.
        return Portable(
            device, (x, y) => PortableMatMul.Bind(device.Loader, x, Quantized.Upload(device, w), y), w.Unpack(), 2 * (64 + (2 * (K / 64))));
    });

    private static Slice Int4(WeightType scale, int group, bool hasZeros) => new(
        $"MatMulKernel<Int4Weights<{scale}Format, {(hasZeros ? "StoredZero" : "SymmetricZero")}>>", device =>
        {
            Int4Reference w = Quantized.RandomInt4(N, K, group, scale, hasZeros);

            // A chain of products in a group, then a sum of scaled groups; in groups of 32 one addition more a group. Two roundings each.
            return Portable(
                device, (x, y) => PortableMatMul.Bind(device.Loader, x, Quantized.Upload(device, w, scale), y), w.Unpack(scale),
                2 * (group + (2 * w.Groups)));
        });

    private static Slice Int8(WeightType scale) => new($"MatMulKernel<Int8Weights<{scale}Format>>", device =>
    {
        Int8Reference w = Quantized.RandomInt8(N, K, 128, scale);
        return Portable(
            device, (x, y) => PortableMatMul.Bind(device.Loader, x, Quantized.Upload(device, w, scale), y), w.Unpack(scale),
            2 * (128 + (2 * w.Groups)));
    });

    private static Slice Fp8 => new("MatMulKernel<Fp8Weights>", device =>
    {
        Fp8Reference w = Quantized.RandomFp8(N, K, 128);
        return Portable(
            device, (x, y) => PortableMatMul.Bind(device.Loader, x, Quantized.Upload(device, w), y), w.Unpack(), 2 * (128 + (2 * w.Groups)));
    });

    private static Slice Dense(WeightType type) => new($"MatMulKernel<DenseWeights<{type}Weights>>", device =>
    {
        UInt4[] packed = DenseReference.Pack(type, Seeded.Floats(N, N * K), N, K);

        // A chain of at most 128 products, then 40 sums of such chains; two roundings each.
        return Portable(
            device, (x, y) => PortableMatMul.Bind(device.Loader, x, WeightMatrix.Dense(type, device.Upload(packed), N, K), y),
            DenseReference.Unpack(type, packed, N, K), 2 * (128 + (K / 128)));
    });

    private static SliceResult Portable(
        TestDevice device, Func<Matrix<float>, Matrix<float>, Launch> bind, double[] weights, double roundings)
    {
        float[] x = Seeded.Floats(M, M * K);
        Matrix<float> y = device.Poisoned<float>(M, N);
        device.Run(bind(device.Upload(x, M, K), y));
        float[] actual = device.Download(y);
        return new SliceResult(() => MatMulBound.Assert(actual, Seeded.ToDouble(x), weights, M, N, K, roundings)).Leaving(actual);
    }
}
