namespace QwenIlgpu.Kernels.Tests;

internal sealed class WeightMatrixTests
{
    private static readonly WeightMatrix[] Formats =
    [
        WeightMatrix.Dense(WeightType.F32, 20, 100),
        WeightMatrix.Dense(WeightType.Bf16, 20, 100),
        WeightMatrix.Int4(WeightType.F16, 20, 160, 32),
        WeightMatrix.Int4(WeightType.Bf16, 20, 160, 128),
        WeightMatrix.Int8(WeightType.F16, 20, 160, 32),
        WeightMatrix.Fp4(20, 160), WeightMatrix.Fp8(20, 160, 32),
    ];

    // Rows of 100: 25 words of four floats, 13 of eight bf16. Two row tiles; three tiles of 64 k, four with the padded group, five of 32.
    // Of FP4 two slots of sixteen scales a tile of 64 k, and two of the global one before them.
    private static readonly long[] DataBytes = [20 * 25 * 16, 20 * 13 * 16, 2 * 3 * 512, 2 * 4 * 512, 2 * 5 * 512, 2 * 3 * 512, 2 * 5 * 512];
    private static readonly long[] ScaleBytes = [0, 0, 2 * 5 * 16 * 2, 2 * 2 * 16 * 2, 2 * 5 * 16 * 2, 2 * 8 * 16 * 2, 2 * 5 * 16 * 4];

    [Test]
    public void SaysWhatItsFormatTakes()
    {
        Assert.That(Formats.Select(w => w.DataBytes), Is.EqualTo(DataBytes));
        Assert.That(Formats.Select(w => w.ScaleBytes), Is.EqualTo(ScaleBytes));
        Assert.That(Formats.Select(w => w.SizeBytes), Is.EqualTo(DataBytes.Zip(ScaleBytes, (data, scales) => data + scales)));
        Assert.That(Formats.Select(w => (w.Groups, w.ColumnTiles, w.StrideWords)), Is.EqualTo(
            new[] { (1, 0, 25), (1, 0, 13), (5, 3, 0), (2, 4, 0), (5, 5, 0), (10, 3, 0), (5, 5, 0) }));
    }

    [TestCase(0, "op: bytes of w is 0, bytes for F32 [20, 100] is 8000")]
    [TestCase(3, "op: bytes of codes of w is 0, bytes for INT4 g128 [20, 160] is 4096")]
    [TestCase(4, "op: bytes of codes of w is 0, bytes for INT8 g32 [20, 160] is 5120")]
    [TestCase(5, "op: bytes of codes of w is 0, bytes for FP4 g16 [20, 160] is 3072")]
    [TestCase(6, "op: bytes of codes of w is 0, bytes for FP8 g32 [20, 160] is 5120")]
    public void RejectsStorageOfAnotherLength(int format, string message) =>
        Assert.That(() => Formats[format].Check("op", "w"), Throws.ArgumentException.With.Message.EqualTo(message));

    [Test]
    public void RejectsAnotherFormat() => Assert.That(
        () => Formats[4].Check("op", "w", WeightFormat.Int4),
        Throws.ArgumentException.With.Message.EqualTo("op: w is INT8 g32 [20, 160], not Int4"));

    [Test]
    public void RejectsScalesOf32Bits() => Assert.That(
        () => WeightMatrix.Int8(WeightType.F32, 16, 32, 32).Check("op", "w"),
        Throws.ArgumentException.With.Message.EqualTo("op: scales of w are F32, not F16 or Bf16"));

    [Test]
    public void RejectsFp8WithScalesOf16Bits() => Assert.That(
        () => (WeightMatrix.Fp8(16, 32, 32) with { Type = WeightType.Bf16 }).Check("op", "w"),
        Throws.ArgumentException.With.Message.EqualTo("op: scales of w are Bf16, not F32"));
}
