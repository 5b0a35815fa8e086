namespace QwenIlgpu.Tests;

internal sealed class PagePoolTests
{
    [Test]
    public void ASharedPageIsFreeOnceItsLastOwnerHasReleasedIt()
    {
        var pool = new PagePool(4);
        int page = pool.Take();
        pool.Share(page);
        pool.Share(page);

        pool.Release(page);
        pool.Release(page);
        Assert.That((pool.Available, pool.ReferencesOf(page)), Is.EqualTo((2, 1)));
        pool.Release(page);

        Assert.That((pool.Available, pool.Count, pool.ReferencesOf(page)), Is.EqualTo((3, 3, 0)));
    }

    [Test]
    public void TheReservedPageIsNeverHandedOut()
    {
        var pool = new PagePool(4);

        Assert.That(new[] { pool.Take(), pool.Take(), pool.Take() }, Is.EqualTo(new[] { 1, 2, 3 }));
        Assert.That(() => pool.Take(), Throws.InvalidOperationException);
    }

    [Test]
    public void APageWithoutOwnerIsNeitherSharedNorReleased()
    {
        var pool = new PagePool(4);
        int page = pool.Take();
        pool.Release(page);

        Assert.That(() => pool.Share(page), Throws.InvalidOperationException.With.Message.EqualTo("page 1 of 4 has no owner"));
        Assert.That(() => pool.Release(page), Throws.InvalidOperationException.With.Message.EqualTo("page 1 of 4 has no owner"));
        Assert.That(pool.Available, Is.EqualTo(3));
    }
}
