using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class ArgMaxTests(PortableTier tier) : PortableTests(tier)
{
    [TestCase(1, 1)]
    [TestCase(5, 31)]
    [TestCase(3, 1009)]
    [TestCase(2, 248_320)]
    public void MatchesReference(int rows, int columns)
    {
        float[] logits = [.. Seeded.Floats(rows + columns, rows * columns, 50).Select(x => MathF.Round(x))];      // many equals

        int[] expected = [.. logits.Chunk(columns).Select(row => Array.IndexOf(row, row.Max()))];
        Assert.That(Run(logits, rows, columns, columns), Is.EqualTo(expected));
    }

    [Test]
    public void LeavesOutThePaddedVocabularyAndNaN() =>
        Assert.That(Run([float.NaN, 1, 2, 9, float.NaN, float.NegativeInfinity, float.NaN, 9], 2, 4, 3), Is.EqualTo(new[] { 2, -1 }));

    [Test]
    public void RejectsVocabularyWiderThanLogits()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => Run(new float[8], 2, 4, 5))!;

        Assert.That(error.Message, Is.EqualTo("arg_max: vocabulary size is 5, columns of logits 4"));
    }

    private static int[] Run(float[] logits, int rows, int columns, int vocabulary)
    {
        ArrayView<int> ids = Device.Poisoned<int>(rows);
        SamplingScratch scratch = SamplingScratch.In(Device.Poisoned<byte>(SamplingScratch.SizeInBytes(rows)), rows);
        Device.Run(ArgMax.Bind(Device.Loader, Device.Upload(logits, rows, columns), vocabulary, scratch, ids));
        return Device.Download(ids);
    }
}
