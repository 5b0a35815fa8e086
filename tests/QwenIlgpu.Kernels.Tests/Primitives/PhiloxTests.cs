using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

[PortableTiers(PortableTier.Loops, PortableTier.Ptx)]
internal sealed class PhiloxTests(PortableTier tier) : PortableTests(tier)
{
    // Known answers published with Random123: counter (4 words), key (2 words), output (4 words).
    [TestCase(
        new uint[] { 0, 0, 0, 0 }, new uint[] { 0, 0 }, new[] { 0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u })]
    [TestCase(
        new[] { ~0u, ~0u, ~0u, ~0u }, new[] { ~0u, ~0u }, new[] { 0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu })]
    [TestCase(
        new[] { 0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u },
        new[] { 0xa4093822u, 0x299f31d0u },
        new[] { 0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u })]
    public void GivesKnownAnswers(uint[] counter, uint[] key, uint[] expected)
    {
        UInt4 block = Philox.Block(new UInt4(counter[0], counter[1], counter[2], counter[3]), key[0], key[1]);

        Assert.That(new[] { block.X, block.Y, block.Z, block.W }, Is.EqualTo(expected));
    }

    [Test]
    public void GivesTheSameUniformsOnTheDevice()
    {
        const int Count = 1000;
        ArrayView<double> uniforms = Device.Poisoned<double>(Count);
        Action<AcceleratorStream, Index1D, ArrayView<double>> fill =
            Device.Accelerator.LoadAutoGroupedKernel<Index1D, ArrayView<double>>(Fill);

        fill(Device.Stream, Count, uniforms);

        double[] actual = Device.Download(uniforms);
        Assert.That(actual, Is.EqualTo(Enumerable.Range(0, Count).Select(i => Philox.Uniform(7, 9, i))));
        Assert.That(actual, Is.Unique);
        Assert.That(actual.Average(), Is.EqualTo(0.5).Within(0.03));        // 3 standard deviations of the mean of 1000
        Assert.That(actual, Has.All.InRange(0.0, Math.BitDecrement(1.0)));
    }

    private static void Fill(Index1D index, ArrayView<double> uniforms) => uniforms[index] = Philox.Uniform(7, 9, index);
}
