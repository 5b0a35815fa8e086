using System.Buffers.Binary;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

internal sealed class ArgumentLayoutTests : KernelTests
{
    [Test]
    public void PadsLikeC()
    {
        ArgumentLayout layout = ArgumentLayout.Of(typeof(PaddedKernel));
        ArgumentWord[] expected =
            [new(0, 1), new(8, 8, true, 2), new(16, 8), new(24, 2), new(28, 4), new(32, 8), new(40, 4), new(48, 8)];

        Assert.Multiple(() =>
        {
            Assert.That(layout.Bytes, Is.EqualTo(56));
            Assert.That(layout.Words, Is.EqualTo(expected));
        });
    }

    [Test]
    public void AgreesWithTheCompiler()
    {
        var entry = new KernelEntry(typeof(PaddedKernel).GetMethod(nameof(PaddedKernel.Padded))!);

        PtxSignature signature = PtxSignature.Parse(PtxBuild.Shared.Text(entry, PtxBuild.Architectures[0]));

        Assert.That(CudaFunction.LayoutsOf(entry, signature), Has.Length.EqualTo(1));
    }

    [Test]
    public void WritesEveryField()
    {
        ArrayView<ushort> buffer = Device.Upload<ushort>(1, 2, 3, 4, 5, 6);
        var kernel = new PaddedKernel(7, buffer.SubView(2, 3), new PaddedPart(8, 9), -10, SampleChoice.One, 0.5);
        var bytes = new byte[64];

        ArgumentLayout.Of(typeof(PaddedKernel)).Write(kernel, bytes);

        Assert.Multiple(() =>
        {
            Assert.That(bytes[0], Is.EqualTo(7));
            Assert.That(BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(8)), Is.EqualTo((long)buffer.LoadEffectiveAddressAsPtr() + 4));
            Assert.That(BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(16)), Is.EqualTo(3));
            Assert.That(BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(24)), Is.EqualTo(8));
            Assert.That(BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(28)), Is.EqualTo(9));
            Assert.That(BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(32)), Is.EqualTo(-10));
            Assert.That(BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(40)), Is.EqualTo(1));
            Assert.That(BinaryPrimitives.ReadDoubleLittleEndian(bytes.AsSpan(48)), Is.EqualTo(0.5));
        });
    }

    [Test]
    public void WritesAMissingViewAsNothing()
    {
        byte[] bytes = [.. Enumerable.Repeat((byte)0xff, 16)];

        ArgumentLayout.Of(typeof(ArrayView<float>)).Write(default(ArrayView<float>), bytes);

        Assert.That(bytes, Is.All.Zero);
    }

    [TestCase(typeof(string))]
    [TestCase(typeof(bool))]
    [TestCase(typeof(Empty))]
    [TestCase(typeof(Packed))]
    public void RejectsWhatItCannotLayOut(Type type) =>
        Assert.That(() => ArgumentLayout.Of(type), Throws.TypeOf<NotSupportedException>().With.Message.Contains(type.ToString()));

    [Test]
    public void RejectsWhatTheCompilerLaysOutElsewise()
    {
        var entry = new KernelEntry(typeof(PaddedKernel).GetMethod(nameof(PaddedKernel.Padded))!);
        var signature = new PtxSignature("Kernel_Padded", [new PtxParameter("_kernel", 0, 48)]);

        Assert.That(
            () => CudaFunction.LayoutsOf(entry, signature),
            Throws.InvalidOperationException.With.Message.EqualTo("PaddedKernel: operands take [56] bytes, its PTX declares [48]"));
    }

    private readonly struct Empty;

    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private readonly record struct Packed(byte Small, int Wide);
}
