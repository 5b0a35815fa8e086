using System.Runtime.InteropServices;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class ExpandInt4Tests(PortableTier tier) : PortableTests(tier)
{
    // One product and one rounding each: the bits are given.
    [TestCase(16, 64, 64, 0, 16)]
    [TestCase(37, 200, 128, 0, 37)]
    [TestCase(37, 96, 32, 9, 21)]
    [TestCase(48, 5120, 128, 17, 16)]
    public void WeightsAreRoundedOnce(int rows, int columns, int groupSize, int firstRow, int count)
    {
        double[] weights = Array.ConvertAll(Seeded.Floats(rows + columns, rows * columns, 0.05f), w => (double)w);
        Int4Reference packed = Int4Reference.FromWeights(weights, rows, columns, groupSize, WeightType.Bf16);
        var matrix = WeightMatrix.Int4(
            Device.Upload(packed.Codes), Device.Upload(packed.Scales), Device.Upload<byte>(), WeightType.Bf16, rows, columns, groupSize);
        var expanded = WeightMatrix.Dense(
            WeightType.Bf16, Device.Poisoned<UInt4>(DenseLayout.Bytes(WeightType.Bf16, count, columns) / 16), count, columns);

        Device.Run(ExpandInt4.Bind(Device.Loader, matrix, firstRow, expanded));

        ushort[] expected = [.. packed.Unpack(WeightType.Bf16).Skip(firstRow * columns).Take(count * columns).Select(w => Bf16.FromFloat((float)w))];
        Assert.That(MemoryMarshal.Cast<UInt4, ushort>(Device.Download(expanded.Data).AsSpan()).ToArray(), Is.EqualTo(expected));
    }

    [Test]
    public void RefusesRowsBeyondTheLast()
    {
        var matrix = WeightMatrix.Int4(
            Device.Upload(new UInt4[32]), Device.Upload(new ushort[16]), Device.Upload<byte>(), WeightType.Bf16, 16, 64, 64);
        var expanded = WeightMatrix.Dense(WeightType.Bf16, Device.Upload(new UInt4[64]), 8, 64);

        Assert.That(
            () => ExpandInt4.Bind(Device.Loader, matrix, 9, expanded),
            Throws.ArgumentException.With.Message.EqualTo("expand_int4: rows 9 to 17 of 16 are asked for"));
    }
}
