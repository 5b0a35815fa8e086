using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the prefill of a DeltaNet layer refuses when it is bound.</summary>
internal sealed class DeltaPrefillOperandTests : KernelTests
{
    private static readonly DeltaShape Shape = new(1, 2, 64, 64);

    [Test]
    public void RejectsHeadsWithoutAKernel()
    {
        Assert.That(
            Rejection(new DeltaShape(1, 2, 64, 128)),
            Is.EqualTo("delta_prefill: heads must all be of 64 or all of 128: 1 key heads of 64, 2 value heads of 128"));
        Assert.That(Rejection(new DeltaShape(2, 3, 64, 64)), Is.EqualTo("delta_prefill: 3 value heads are no multiple of 2 key heads"));
    }

    [Test]
    public void RejectsOperandsOfAnotherShape()
    {
        Assert.That(Rejection(Shape, state: 64), Is.EqualTo("delta_prefill: columns of state is 64, Hv · Dv · Dk is 8192"));
        Assert.That(Rejection(Shape, y: 64), Is.EqualTo("delta_prefill: columns of y is 64, value channels is 128"));
        Assert.That(Rejection(Shape, positions: 4), Is.EqualTo("delta_prefill: rows of scratch is 3, length of positions is 4"));
        Assert.That(Rejection(Shape, snapshots: 3), Is.EqualTo("delta_prefill: length of snapshotSlot is 3, chunks is 2"));
        Assert.That(
            Rejection(Shape, chunks: 3),
            Is.EqualTo("delta_prefill: words of scratch T is 2048, its need of the chunks is 3072"));
    }

    [Test]
    public void RejectsScratchOfAnotherSize()
    {
        long floats = DeltaPrefillScratch.Floats(Shape, 3, 2);
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ = new DeltaPrefillScratch(Shape, 3, 2, Device.Uninitialised<float>(floats - 4)))!;

        Assert.That(
            error.Message,
            Is.EqualTo($"delta_prefill_scratch: length of memory is {floats - 4}, the need of the shape, rows and chunks is {floats}"));
    }

    private static string Rejection(
        DeltaShape shape, int state = 8192, int positions = 3, int y = 128, int snapshots = 2, int chunks = 2) =>
        Assert.Throws<ArgumentException>(() => DeltaPrefill.BindRule(
            Device.Loader,
            shape,
            Device.Poisoned<float>(1, state),
            new ChunkedRows(
                new SlotRows(Device.Upload(0, 3), Device.Poisoned<int>(positions), Device.Upload(0)),
                new ChunkList(Device.Upload(new int[chunks]), Device.Upload(new int[chunks]), Device.Upload(0, 1)),
                Device.Upload(new int[snapshots])),
            new DeltaPrefillScratch(shape, 3, 2, Device.Uninitialised<float>(DeltaPrefillScratch.Floats(shape, 3, 2))),
            Device.Poisoned<float>(3, y)))!.Message;
}
