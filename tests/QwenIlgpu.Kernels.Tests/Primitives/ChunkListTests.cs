namespace QwenIlgpu.Kernels.Tests;

internal sealed class ChunkListTests
{
    [Test]
    public void CutsAtAbsoluteMultiples()
    {
        var step = new PackedStep((0, 0, 130), (1, 62, 3), (2, 7, 0), (3, 128, 1));
        var firstRow = new int[8];
        var rows = new int[8];
        var firstChunk = new int[5];

        int count = ChunkList.Build(step.FirstRow, step.Positions, firstRow, rows, firstChunk);

        Assert.That(count, Is.EqualTo(6));
        Assert.That(firstRow[..count], Is.EqualTo(new[] { 0, 64, 128, 130, 132, 133 }));
        Assert.That(rows[..count], Is.EqualTo(new[] { 64, 64, 2, 2, 1, 1 }));
        Assert.That(firstChunk, Is.EqualTo(new[] { 0, 3, 5, 5, 6 }));
    }

    [Test]
    public void CapacityHoldsEveryStepAndIsReached()
    {
        for (int rows = 0; rows < 200; rows++)
        {
            int most = 0;
            for (int position = 0; position < ChunkList.ChunkRows; position++)
                most = Math.Max(most, Count(new PackedStep((0, position, rows)), 200));
            Assert.That(ChunkList.MaxChunks(rows, 1), Is.EqualTo(most), $"{rows} rows");
        }

        var random = new Random(1);
        for (int i = 0; i < 1000; i++)
        {
            var step = new PackedStep([.. Enumerable.Range(0, random.Next(1, 6)).Select(b => (b, random.Next(200), random.Next(150)))]);
            Assert.DoesNotThrow(() => Count(step, ChunkList.MaxChunks(step.Rows, step.StateSlot.Length)));
        }
    }

    [Test]
    public void RejectsTooSmallCapacity()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() => Count(new PackedStep((0, 63, 2)), 1))!;

        Assert.That(error.Message, Is.EqualTo("chunk_list: the step has more chunks than the capacity 1"));
    }

    private static int Count(PackedStep step, int capacity) =>
        ChunkList.Build(step.FirstRow, step.Positions, new int[capacity], new int[capacity], new int[step.FirstRow.Length]);
}
