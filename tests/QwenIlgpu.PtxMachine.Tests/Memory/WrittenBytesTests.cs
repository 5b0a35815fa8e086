namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class WrittenBytesTests
{
    private const long FourGiB = 1L << 32;
    private const ulong Start = 1 << 20;

    // The map of bytes alone is made, and of it only the pages that are touched.
    [TestCase(4, true)]
    [TestCase(5, false)]
    [TestCase(1L << 31, false)]
    [TestCase(FourGiB, false)]
    [TestCase(FourGiB + 4, false)]
    public void CountsEveryByte(long length, bool isWritten)
    {
        using var allocation = new Allocation(Start, FourGiB + 8);
        allocation.MarkStored(Start, 4);

        Assert.That(allocation.IsWritten(Start, length), Is.EqualTo(isWritten));
    }

    // 2 GiB of notes are written and read.
    [Test]
    [Category("Exhaustive")]
    public void SeesOneByteBehindTwoGiB()
    {
        const long Length = (1L << 31) + 5;
        using var allocation = new Allocation(Start, Length + 1);
        allocation.MarkWritten(Start, Length);

        Assert.That(allocation.IsWritten(Start, Length), Is.True);
        Assert.That(allocation.IsWritten(Start, Length + 1), Is.False);
    }
}
