namespace QwenIlgpu.Tests;

internal sealed class DeviceSelectionTests
{
    [TestCase("auto", "auto")]
    [TestCase("cpu", "cpu")]
    [TestCase("cuda", "cuda:0")]
    [TestCase("cuda:0", "cuda:0")]
    [TestCase("cuda:13", "cuda:13")]
    public void ReadsWhatItWrites(string text, string written)
    {
        DeviceSelection selection = DeviceSelection.Parse(text);

        Assert.That(selection.ToString(), Is.EqualTo(written));
        Assert.That(DeviceSelection.Parse(written), Is.EqualTo(selection));
    }

    [TestCase("")]
    [TestCase("CUDA")]
    [TestCase("gpu")]
    [TestCase("cuda:")]
    [TestCase("cuda:-1")]
    [TestCase("cuda:1 ")]
    [TestCase("cuda:x")]
    [TestCase("cuda:99999999999")]
    [TestCase("cpu:0")]
    public void RejectsOtherTexts(string text)
    {
        Assert.That(DeviceSelection.TryParse(text, out DeviceSelection selection), Is.False);
        Assert.That(selection, Is.EqualTo(DeviceSelection.Auto));
        Assert.That(() => DeviceSelection.Parse(text), Throws.TypeOf<FormatException>().With.Message.Contains($"device is '{text}'").And.Message.Contains("cuda:N"));
    }

    [Test]
    public void DefaultIsAuto() => Assert.That(default(DeviceSelection), Is.EqualTo(DeviceSelection.Auto));

    [Test]
    public void RejectsANegativeNumber() => Assert.That(() => DeviceSelection.Cuda(-1), Throws.TypeOf<ArgumentOutOfRangeException>());
}
