namespace QwenIlgpu.Tests;

internal sealed class KernelCacheDirectoryTests
{
    [Test]
    public void FollowsAnAbsoluteCacheHome()
    {
        string home = Path.GetFullPath(Path.Combine(Path.GetTempPath(), "caches"));

        Assert.That(KernelCacheDirectory.Of(home), Is.EqualTo(Path.Combine(home, "qwenilgpu", "ptx")));
    }

    [TestCase(null)]
    [TestCase("")]
    [TestCase("caches")]
    public void FallsBackToThePlatformsFolder(string? home)
    {
        Assert.That(KernelCacheDirectory.Of(home), Is.EqualTo(KernelCacheDirectory.OfPlatform()));
        Assert.That(new ModelOptions().KernelCacheDirectory, Is.EqualTo(KernelCacheDirectory.OfPlatform()));
    }
}
