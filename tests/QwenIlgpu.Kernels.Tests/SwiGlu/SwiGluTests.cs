namespace QwenIlgpu.Kernels.Tests;

internal sealed class SwiGluTests(PortableTier tier) : PortableTests(tier)
{
    // |y| ≤ 8 · 1; exp, quotient and products round a few times each: below 8 · 2^-24, or 2^-21 where a GPU approximates exp.
    private const double Tolerance = 8 * 5e-7;

    [TestCase(1, 1)]
    [TestCase(3, 131)]
    [TestCase(2, 512)]
    [TestCase(1, 17408)]
    public void MatchesReference(int rows, int columns)
    {
        float[] gate = Seeded.Floats(rows + columns, rows * columns, 8);
        float[] up = Seeded.Floats(columns, rows * columns);
        Matrix<float> y = Device.Poisoned<float>(rows, columns);

        Device.Run(SwiGlu.Bind(Device.Loader, Device.Upload(gate, rows, columns), Device.Upload(up, rows, columns), y));

        AssertClose(Device.Download(y), SwiGluReference.Run(Seeded.ToDouble(gate), Seeded.ToDouble(up)), Tolerance);
    }

    [Test]
    public void KeepsLargeGatesFinite()
    {
        float[] gate = [-1e30f, -1000, -89, -88, 0, 88, 1000, 1e30f];
        Matrix<float> y = Device.Poisoned<float>(1, gate.Length);

        Device.Run(SwiGlu.Bind(
            Device.Loader, Device.Upload(gate, 1, gate.Length), Device.Upload([.. gate.Select(_ => 1f)], 1, gate.Length), y));

        float[] silu = Device.Download(y);
        Assert.That(silu[..4], Has.All.EqualTo(0f).Within(1e-35f));
        Assert.That(silu[4..], Is.EqualTo(gate[4..]));
    }

    [Test]
    public void WritesOverItsGate()
    {
        float[] gate = Seeded.Floats(1, 3 * 40);
        float[] up = Seeded.Floats(2, 3 * 40);
        Matrix<float> y = Device.Upload(gate, 3, 40);

        Device.Run(SwiGlu.Bind(Device.Loader, y, Device.Upload(up, 3, 40), y));

        AssertClose(Device.Download(y), SwiGluReference.Run(Seeded.ToDouble(gate), Seeded.ToDouble(up)), Tolerance);
    }

    [Test]
    public void RejectsAnotherWidth() => Assert.That(
        () => SwiGlu.Bind(Device.Loader, Device.Poisoned<float>(2, 8), Device.Poisoned<float>(2, 9), Device.Poisoned<float>(2, 8)),
        Throws.ArgumentException.With.Message.EqualTo("swiglu: columns of up is 9, columns of gate is 8"));
}
