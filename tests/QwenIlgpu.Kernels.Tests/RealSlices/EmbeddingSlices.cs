using ILGPU;
using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Rows of 5120 by their numbers, out of tables of 37 rows, and in another order of their columns.</summary>
internal static class EmbeddingSlices
{
    private const int TableRows = 37;
    private const int Hidden = 5120;

    private static readonly int[] Ids = [3, 0, 12, 3, 36, 16, 31];
    private static readonly WeightType[] Scales = [WeightType.Bf16, WeightType.F16];

    public static IEnumerable<Slice> All =>
    [
        .. Enum.GetValues<WeightType>().Select(Plain),
        .. Scales.Select(Int8),
        .. Scales.Select(scale => Int4(scale, hasZeros: false)),
        .. Scales.Select(scale => Int4(scale, hasZeros: true)),
        new("GatherRowsKernel", device =>
        {
            float[] x = Seeded.Floats(1, TableRows * Hidden);
            return Take(
                device, (ids, y) => GatherRows.Bind(device.Loader, device.Upload(x, TableRows, Hidden), ids, y), Array.ConvertAll(x, v => (double)v));
        }),
        new("GatherColumnsKernel", device =>
        {
            float[] x = Seeded.Floats(1, Ids.Length * Hidden);
            int[] order = [.. Enumerable.Range(0, Hidden)];
            new Random(1).Shuffle(order);
            Matrix<float> y = device.Poisoned<float>(Ids.Length, Hidden);
            device.Run(GatherColumns.Bind(device.Loader, device.Upload(x, Ids.Length, Hidden), device.Upload(order), y));
            float[] actual = device.Download(y);
            return new SliceResult(() => Assert.That(
                actual, Is.EqualTo(Enumerable.Range(0, x.Length).Select(i => x[(i / Hidden * Hidden) + order[i % Hidden]])))).Leaving(actual);
        }),
    ];

    private static Slice Plain(WeightType type) => new($"EmbeddingKernel<{type}Weights>", device =>
    {
        UInt4[] packed = DenseReference.Pack(type, Seeded.Floats(2, TableRows * Hidden), TableRows, Hidden);
        return Take(
            device, (ids, y) => Embedding.Bind(device.Loader, ids, WeightMatrix.Dense(type, device.Upload(packed), TableRows, Hidden), y),
            DenseReference.Unpack(type, packed, TableRows, Hidden));
    });

    private static Slice Int8(WeightType scale) => new($"QuantizedEmbeddingKernel<Int8EmbeddingTiles, {scale}Format>", device =>
    {
        Int8Reference table = Quantized.RandomInt8(TableRows, Hidden, 128, scale);
        return Take(device, (ids, y) => Embedding.Bind(device.Loader, ids, Quantized.Upload(device, table, scale), y), table.Unpack(scale));
    });

    private static Slice Int4(WeightType scale, bool hasZeros) =>
        new($"QuantizedEmbeddingKernel<Int4EmbeddingTiles<{(hasZeros ? "StoredZero" : "SymmetricZero")}>, {scale}Format>", device =>
        {
            Int4Reference table = Quantized.RandomInt4(TableRows, Hidden, hasZeros ? 32 : 128, scale, hasZeros);
            return Take(device, (ids, y) => Embedding.Bind(device.Loader, ids, Quantized.Upload(device, table, scale), y), table.Unpack(scale));
        });

    // Values are the table's own, to the bit.
    private static SliceResult Take(TestDevice device, Func<ArrayView<int>, Matrix<float>, Launch> bind, double[] table)
    {
        Matrix<float> y = device.Poisoned<float>(Ids.Length, Hidden);
        device.Run(bind(device.Upload(Ids), y));
        float[] actual = device.Download(y);
        return new SliceResult(() =>
        {
            for (int i = 0; i < actual.Length; i++)
            {
                if (actual[i] != (float)table[(Ids[i / Hidden] * Hidden) + (i % Hidden)])
                    Assert.Fail($"row {i / Hidden}, column {i % Hidden}");
            }
        }).Leaving(actual);
    }
}
