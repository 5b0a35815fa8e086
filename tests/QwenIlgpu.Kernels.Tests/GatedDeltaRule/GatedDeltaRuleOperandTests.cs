using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What the gated delta rule refuses when it is bound.</summary>
internal sealed class GatedDeltaRuleOperandTests(PortableTier tier) : PortableTests(tier)
{
    private static readonly DeltaShape Shape = new(1, 2, 8, 8);

    [Test]
    public void RejectsOddHeads()
    {
        Assert.That(
            Rejection(new DeltaShape(2, 3, 8, 8)),
            Is.EqualTo("gated_delta_rule_recurrent: 3 value heads are no multiple of 2 key heads"));
        Assert.That(
            Rejection(new DeltaShape(1, 2, 6, 8)),
            Is.EqualTo("gated_delta_rule_recurrent: head sizes must be multiples of 4: 1 key heads of 6, 2 value heads of 8"));
    }

    [Test]
    public void RejectsOperandsOfAnotherShape()
    {
        Assert.That(
            Rejection(Shape, channels: 36),
            Is.EqualTo(
                "gated_delta_rule_recurrent: columns of qkv is 36, width of q | k | v of 1 key heads of 8, 2 value heads of 8 is 32"));
        Assert.That(Rejection(Shape, gates: 1), Is.EqualTo("gated_delta_rule_recurrent: columns of beta is 1, value heads is 2"));
        Assert.That(Rejection(Shape, state: 64), Is.EqualTo("gated_delta_rule_recurrent: columns of state is 64, Hv · Dv · Dk is 128"));
        Assert.That(Rejection(Shape, positions: 4), Is.EqualTo("gated_delta_rule_recurrent: length of positions is 4, rows of qkv is 3"));
        Assert.That(Rejection(Shape, y: 12), Is.EqualTo("gated_delta_rule_recurrent: columns of y is 12, value channels is 16"));
    }

    [Test]
    public void RejectsViewsThatSplitWords()
    {
        var odd = new Matrix<float>(Device.Poisoned<float>(100).SubView(2, 96), 3, 32);

        ArgumentException error = Assert.Throws<ArgumentException>(() => Bind(Shape, odd, 2, 128, 3, 16))!;

        Assert.That(
            error.Message,
            Is.EqualTo("gated_delta_rule_recurrent: qkv [3, 32] with stride 32 at byte 8 does not consist of words of four floats"));
    }

    [Test]
    public void RejectsSnapshotsOfOtherChunks()
    {
        var chunks = new ChunkList(Device.Upload(0, 0), Device.Upload(3, 0), Device.Upload(0, 1));
        Matrix<float> gates = Device.Poisoned<float>(3, 2);

        ArgumentException error = Assert.Throws<ArgumentException>(() => GatedDeltaRule.BindRecurrent(
            Device.Loader, Shape, new DeltaRuleInputs(Device.Poisoned<float>(3, 32), gates, gates), Device.Poisoned<float>(1, 128),
            new ChunkedRows(new SlotRows(Device.Upload(0, 3), Device.Poisoned<int>(3), Device.Upload(0)), chunks, Device.Upload(-1)),
            Device.Poisoned<float>(3, 16)))!;

        Assert.That(error.Message, Is.EqualTo("gated_delta_rule_recurrent: length of snapshotSlot is 1, chunks is 2"));
    }

    // Without it the rows of a chunk would be rounded one by one; one row a sequence needs none.
    [Test]
    public void RejectsSeveralRowsWithoutPlaceBetweenRoundings()
    {
        Assume.That(GatedDeltaRule.TakesUnrounded(Device.Loader, Shape, DeltaStateFormat.Bf16));
        DeltaStates state = DeltaFixture.Poisoned(Device, DeltaStateFormat.Bf16, 1, Shape);
        Launch Bind(int rows)
        {
            Matrix<float> gates = Device.Poisoned<float>(rows, 2);
            return GatedDeltaRule.BindRecurrent(
                Device.Loader, Shape, new DeltaRuleInputs(Device.Poisoned<float>(rows, 32), gates, gates), state,
                new ChunkedRows(new SlotRows(Device.Upload(0, rows), Device.Poisoned<int>(rows), Device.Upload(0)), default),
                Device.Poisoned<float>(rows, 16));
        }

        Assert.That(
            () => Bind(3), Throws.ArgumentException.With.Message.EqualTo("gated_delta_rule_recurrent: rows of unrounded is 0, sequences is 1"));
        Assert.That(() => Bind(1), Throws.Nothing);
    }

    [Test]
    public void RejectsScratchOfAnotherShape()
    {
        ArgumentException error = Assert.Throws<ArgumentException>(() =>
            _ = new ChunkScratch(Shape, Device.Poisoned<float>(3, ChunkScratch.Columns(Shape) - 1)))!;

        Assert.That(error.Message, Is.EqualTo("chunk_scratch: columns is 291, the shape's need is 292"));
    }

    private static string Rejection(DeltaShape shape, int channels = 32, int gates = 2, int state = 128, int positions = 3, int y = 16) =>
        Assert.Throws<ArgumentException>(() => Bind(shape, Device.Poisoned<float>(3, channels), gates, state, positions, y))!.Message;

    private static Launch Bind(DeltaShape shape, Matrix<float> qkv, int gates, int state, int positions, int y) =>
        GatedDeltaRule.BindRecurrent(
            Device.Loader,
            shape,
            new DeltaRuleInputs(qkv, Device.Poisoned<float>(3, gates), Device.Poisoned<float>(3, gates)),
            Device.Poisoned<float>(1, state),
            new ChunkedRows(new SlotRows(Device.Upload(0, 3), Device.Poisoned<int>(positions), Device.Upload(0)), default),
            Device.Poisoned<float>(3, y));
}
