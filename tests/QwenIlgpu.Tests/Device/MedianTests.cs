namespace QwenIlgpu.Tests;

internal sealed class MedianTests
{
    [TestCase(3, 7, 3, 1)]
    [TestCase(4, 5, 1, 9, 3)]
    [TestCase(8, 8)]
    public void IsTheMiddleOrTheMeanOfTheTwoInTheMiddle(double median, params double[] values) =>
        Assert.That(Median.Of(values), Is.EqualTo(median));
}
