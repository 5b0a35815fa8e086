using System.Runtime.InteropServices;

namespace QwenIlgpu.Tests;

internal sealed class NonFiniteWeightsTests
{
    private TemporaryDirectory directory = null!;

    [SetUp]
    public void CreateDirectory() => directory = new TemporaryDirectory();

    [TearDown]
    public void DeleteDirectory() => directory.Dispose();

    // Every place of a block that is no multiple of a vector, and the largest finite number beside each.
    [TestCase(TensorType.F32, 0x7F7F_FFFFu, 0x7F80_0000u)]
    [TestCase(TensorType.F32, 0xFF7F_FFFFu, 0xFFC0_0001u)]
    [TestCase(TensorType.F16, 0x7BFFu, 0x7C00u)]
    [TestCase(TensorType.F16, 0xFBFFu, 0xFE01u)]
    [TestCase(TensorType.BF16, 0x7F7Fu, 0x7FC0u)]
    [TestCase(TensorType.BF16, 0xFF7Fu, 0xFF80u)]
    [TestCase(TensorType.F8E4M3, 0x7Eu, 0x7Fu)]
    [TestCase(TensorType.F8E4M3, 0xFEu, 0xFFu)]
    public void FindsTheFirstOfEveryPlace(TensorType type, uint finite, uint nonFinite)
    {
        int size = type.ByteSize();
        byte[] bytes = new byte[301 * size];
        for (int i = 0; i < 301; i++)
            Put(bytes, i, finite, size);
        Assert.That(NonFiniteWeights.IndexIn(bytes, type), Is.EqualTo(-1));
        for (int i = 300; i >= 0; i--)
        {
            Put(bytes, i, nonFinite, size);
            Assert.That(NonFiniteWeights.IndexIn(bytes, type), Is.EqualTo(i));
        }
    }

    [Test]
    public void NamesTheFirstTensorInStoredOrder()
    {
        CheckpointDraft draft = Finite();
        Spoil(draft, "lm_head.weight", (7 * CheckpointDraft.Hidden) + 3, 0x7FC0);
        Spoil(draft, "model.language_model.layers.0.mlp.up_proj.weight", 5, 0x7F80);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(
            NonFiniteWeights.FirstIn(checkpoint, CancellationToken.None)?.ToString(),
            Is.EqualTo("tensor lm_head.weight in model.safetensors holds NaN at [7, 3]"));
    }

    [Test]
    public void LeavesTensorsOutThatAreNotOfTheTextModel()
    {
        CheckpointDraft draft = Finite();
        Spoil(draft, "mtp.fc.weight", 0, 0x7FC0);
        Spoil(draft, "model.visual.pos_embed.weight", 0, 0xFF80);
        draft.Write(directory);
        using Checkpoint checkpoint = Checkpoint.Open(directory.Path);
        Assert.That(NonFiniteWeights.FirstIn(checkpoint, CancellationToken.None), Is.Null);
        Assert.Throws<OperationCanceledException>(() => NonFiniteWeights.FirstIn(checkpoint, new CancellationToken(true)));
    }

    [Test]
    public void AModelSaysWhetherItsCheckpointHoldsOne() => Assert.That(
        TestModels.Tiny.DescribeNonFiniteWeights(CancellationToken.None), Is.EqualTo("no tensor of the checkpoint holds a non-finite value"));

    private static CheckpointDraft Finite()
    {
        CheckpointDraft draft = CheckpointDraft.WithTensors();
        foreach (DraftTensor tensor in draft.Tensors.Values)
            tensor.Bytes.AsSpan().Fill(0x3C);
        return draft;
    }

    private static void Spoil(CheckpointDraft draft, string tensor, int element, uint bits) => Put(draft.Tensors[tensor].Bytes, element, bits, sizeof(ushort));

    private static void Put(byte[] bytes, int element, uint bits, int size) =>
        MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(in bits))[..size].CopyTo(bytes.AsSpan(element * size));
}
