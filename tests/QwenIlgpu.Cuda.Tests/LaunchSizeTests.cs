using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>What kernels tell of their groups, which reports count with, is what their launches ask the driver for.</summary>
[NonParallelizable]
internal sealed class LaunchSizeTests : TinyModelTests
{
    private DeviceMemory memory = null!;

    [SetUp]
    public void Begin() => memory = new DeviceMemory(Model.Device);

    [TearDown]
    public void End() => memory.Dispose();

    [TestCase(64, 24 << 10)]
    [TestCase(128, 48 << 10)]
    [TestCase(256, 96 << 10)]
    public void PrefillAttentionOfOneHead(int headDim, int bytes) => AssertPrefill<Bf16PageFormat, Bf16PageFormat>(headDim, bytes);

    [Test]
    public void PrefillAttentionOfTwoHeads() => AssertAsked(
        EntryOf<PrefillAttentionKernel<Bf16PageFormat, Bf16PageFormat, Twice<Twice<OutputTile64>>, Two>>(), 128 << 10,
        Attention<Bf16PageFormat, Bf16PageFormat, Two>(256));

    // Queries and one tile, scales and zeros of 64 keys and values as floats, and a block's codes and scales: fewer than the 99 KiB of an sm_86.
    [TestCase(64, (16 << 10) + (4 * 256) + (64 * 64) + 256)]
    [TestCase(128, (32 << 10) + (4 * 256) + (64 * 128) + 256)]
    [TestCase(256, (64 << 10) + (4 * 256) + (64 * 256) + 256)]
    public void PrefillAttentionOverCodes(int headDim, int bytes)
    {
        AssertPrefill<Int8PageFormat, Int8PageFormat>(headDim, bytes);
        AssertPrefill<Int8PageFormat, Int4PageFormat>(headDim, bytes);
        AssertPrefill<Int4PageFormat, Int4PageFormat>(headDim, bytes - (32 * headDim));
    }

    [Test]
    public void PrefillAttentionOfTwoHeadsOverCodes() => AssertAsked(
        EntryOf<PrefillAttentionKernel<Int8PageFormat, Int4PageFormat, Twice<Twice<OutputTile64>>, Two>>(),
        (128 << 10) + (4 * 256) + (64 * 256) + 256,
        Attention<Int8PageFormat, Int4PageFormat, Two>(256));

    [TestCase(64, DeltaStateType.F32, 50_176)]
    [TestCase(128, DeltaStateType.F32, 74_752)]
    [TestCase(128, DeltaStateType.F16, 74_752)]
    [TestCase(128, DeltaStateType.Bf16, 74_752)]
    public void ChunkScan(int headDim, DeltaStateType stateType, int bytes)
    {
        KernelEntry told = (headDim, stateType) switch
        {
            (64, _) => EntryOf<TensorCoreChunkScanKernel<Dim64, Float4, F32State>>(),
            (_, DeltaStateType.F16) => EntryOf<TensorCoreChunkScanKernel<Dim128, UInt2, F16State>>(),
            (_, DeltaStateType.Bf16) => EntryOf<TensorCoreChunkScanKernel<Dim128, UInt2, Bf16State>>(),
            _ => EntryOf<TensorCoreChunkScanKernel<Dim128, Float4, F32State>>(),
        };
        var shape = new DeltaShape(1, 1, headDim, headDim);
        const int Rows = 64;
        var scratch = new DeltaPrefillScratch(shape, Rows, 1, memory.Allocate<float>(DeltaPrefillScratch.Floats(shape, Rows, 1)));
        var state = new DeltaStates(
            memory.Allocate<byte>((long)shape.StateLength * stateType.ElementBytes()), stateType.Format(), 1, shape.StateLength);

        AssertAsked(told, bytes, DeltaPrefill.BindRule(
            Model.Device.Loader, shape, state,
            new ChunkedRows(new SlotRows(Ints(2), Ints(Rows), Ints(1)), new ChunkList(Ints(1), Ints(1), Ints(2))), scratch,
            Matrix<float>(Rows, headDim))[^1]);
    }

    private static KernelEntry EntryOf<TKernel>()
        where TKernel : struct, IGroupKernel => new(typeof(TKernel).GetMethods().Single(
            m => m.IsStatic && m.GetParameters() is [{ ParameterType: var first }] && first == typeof(TKernel)));

    private void AssertAsked(KernelEntry told, int bytes, Launch launch)
    {
        StandIn.Clear();
        launch.Run(Model.Device.Stream);

        DriverCall asked = StandIn.Calls.Single(c => c.IsLaunch);
        Assert.That(asked.Name, Does.EndWith(told.Method.Name));
        Assert.That(asked.Shared, Is.EqualTo(bytes));
        Assert.That(told.DynamicSharedBytes, Is.EqualTo(bytes));
        Assert.That(asked.Block, Is.EqualTo(((uint)told.UsualGroupThreads, 1u, 1u)));
    }

    private void AssertPrefill<TKeys, TValues>(int headDim, int bytes)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat
    {
        KernelEntry told = headDim switch
        {
            64 => EntryOf<PrefillAttentionKernel<TKeys, TValues, OutputTile64, One>>(),
            128 => EntryOf<PrefillAttentionKernel<TKeys, TValues, Twice<OutputTile64>, One>>(),
            _ => EntryOf<PrefillAttentionKernel<TKeys, TValues, Twice<Twice<OutputTile64>>, One>>(),
        };

        AssertAsked(told, bytes, Attention<TKeys, TValues, One>(headDim));
    }

    private Launch Attention<TKeys, TValues, THeads>(int headDim)
        where TKeys : struct, ITensorCoreFormat
        where TValues : struct, ITensorCoreFormat
        where THeads : struct, IConstant
    {
        int heads = THeads.Value;
        var pages = new KvPages<TKeys, TValues>(
            memory.Allocate<UInt4>(PageBlock.Words<TKeys>(headDim)), memory.Allocate<UInt4>(PageBlock.Words<TValues>(headDim)), 1, 1, headDim);
        return PrefillAttention.Bind<TKeys, TValues, THeads>(
            Model.Device.Loader, Matrix<float>(1, 2 * heads * headDim), pages,
            new PagedRows(Ints(1), Ints(1), new Matrix<int>(Ints(1), 1, 1)), new ChunkList(Ints(1), Ints(1), Ints(2)), heads,
            Matrix<float>(1, heads * headDim));
    }

    private ArrayView<int> Ints(int length) => memory.AllocateZeroed<int>(length);

    private Matrix<T> Matrix<T>(int rows, int columns)
        where T : unmanaged => new(memory.Allocate<T>((long)rows * columns), rows, columns);
}
