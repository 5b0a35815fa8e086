using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>How weights reach the device.</summary>
[NonParallelizable]
internal sealed class LoadTests
{
    [TestCase(false, WeightQuantization.None)]
    [TestCase(true, WeightQuantization.None)]
    [TestCase(false, WeightQuantization.Int4)]
    public async Task WeightsGoThroughPageLockedBlocksOnTheCopyStream(bool gptq, WeightQuantization quantization)
    {
        StandIn.Clear();
        await using QwenModel model = await TinyModel.LoadAsync(gptq ? TinyModel.GptqFolder : null, quantization);

        DriverCall[] calls = StandIn.Calls;
        DriverCall[] copies = [.. calls.Where(c => c.Call.StartsWith("cuMemcpy", StringComparison.Ordinal))];
        nint copyStream = ((ILGPU.Runtime.Cuda.CudaStream)model.Device.CopyStream).StreamPtr;
        Assert.That(copies, Is.Not.Empty);
        Assert.That(copies, Has.All.Matches<DriverCall>(c => !c!.Pageable && c.Stream == copyStream && c.Bytes <= StagedUpload.BlockBytes));
        Assert.That(calls, Has.None.Matches<DriverCall>(c => c!.Call == "cuCtxSynchronize" || c.Result is not (0 or 600)));
        Assert.That(calls.Where(c => c.IsLaunch).Select(c => c.Stream), Has.None.EqualTo(copyStream).And.None.Zero);
        Assert.That(StandIn.Live(HandleKind.HostMemory), Is.Zero, "blocks after loading");
    }

    [Test]
    public async Task WeightsLieInOneBuffer()
    {
        StandIn.Clear();
        await using QwenModel model = await TinyModel.LoadAsync();

        long[] allocated = [.. StandIn.Calls.Where(c => c.Call == "cuMemAlloc").Select(c => c.Bytes)];
        Assert.That(allocated, Is.EqualTo(new[] { model.WeightBytes }));
    }

    [Test]
    public async Task EveryByteArrivesAlthoughTheDriverIsAsLateAsItMayBe()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        using Checkpoint checkpoint = Checkpoint.Open(TinyModel.Folder);
        QwenConfig config = checkpoint.Config;

        Assert.That(model.Weights.EmbedTokens.Matrix.StrideWords * 16, Is.EqualTo(config.HiddenSize * 2), "rows without padding");
        AssertSame(checkpoint, "embed_tokens", model.Weights.EmbedTokens, config.VocabSize, config.HiddenSize, model.Device);
        for (int i = 0; i < config.NumHiddenLayers; i++)
        {
            FeedForward mlp = model.Weights.Layers[i].FeedForward;
            AssertSame(checkpoint, $"layers.{i}.mlp.gate_proj", mlp.GateProj, config.IntermediateSize, config.HiddenSize, model.Device);
            AssertSame(checkpoint, $"layers.{i}.mlp.up_proj", mlp.UpProj, config.IntermediateSize, config.HiddenSize, model.Device);
            AssertSame(checkpoint, $"layers.{i}.mlp.down_proj", mlp.DownProj, config.HiddenSize, config.IntermediateSize, model.Device);
        }
    }

    [Test]
    public void UploadIsOrderedAgainstTheComputeStreamByEvents()
    {
        using ComputeDevice device = ComputeDevice.OpenCuda(0, kernelCacheDirectory: null);
        using var memory = new DeviceMemory(device);
        int[] values = [.. Enumerable.Range(0, 3 * StagedUpload.BlockBytes / sizeof(int))];
        ArrayView<int> view = memory.Allocate<int>(values.Length);
        ArrayView<int> copy = memory.Allocate<int>(values.Length);
        using var upload = new StagedUpload(device);

        upload.Send<int>(values, view);

        // Nothing but the events makes this copy, on the compute stream, see the values.
        copy.CopyFrom(device.Stream, view);
        var returned = new int[values.Length];
        copy.CopyToCPU(device.Stream, returned);
        device.Synchronize();
        Assert.That(returned.AsSpan().SequenceEqual(values));
    }

    [Test]
    public void CopyWithoutAnEventIsSeenToBeLate()
    {
        using ComputeDevice device = ComputeDevice.OpenCuda(0, kernelCacheDirectory: null);
        using var memory = new DeviceMemory(device);
        ArrayView<int> view = memory.AllocateZeroed<int>(1);
        device.Synchronize();
        HostBuffer<int> host = memory.AllocateHost<int>(1);
        host.Span[0] = 7;

        host.Upload(view, device.CopyStream);

        var returned = new int[1];
        view.CopyToCPU(device.Stream, returned);
        device.Synchronize();
        Assert.That(returned[0], Is.Zero, "the stand-in driver would not notice a missing event");
    }

    [Test]
    public void HostBufferOverwrittenTooEarlyIsSeen()
    {
        using ComputeDevice device = ComputeDevice.OpenCuda(0, kernelCacheDirectory: null);
        using var memory = new DeviceMemory(device);
        ArrayView<int> view = memory.Allocate<int>(1);
        HostBuffer<int> host = memory.AllocateHost<int>(1);
        host.Span[0] = 7;

        StandIn.Clear();

        host.Upload(view, device.Stream);
        host.Span[0] = 8;
        device.Synchronize();

        Assert.That(CallRules.BrokenInSteadyDecode(StandIn.Calls), Has.Some.Contains("overwritten before it was copied"));
    }

    private static void AssertSame(Checkpoint checkpoint, string module, LinearWeight weight, int rows, int columns, ComputeDevice device)
    {
        TensorEntry tensor = ((PlainModule)checkpoint.Describe(module, rows, columns)).Weight;
        var expected = new byte[tensor.LengthBytes];
        checkpoint.Read(tensor, 0, expected);
        var actual = new UInt4[weight.Matrix.Data.Length];
        weight.Matrix.Data.CopyToCPU(device.Stream, actual);
        device.Synchronize();
        Assert.That(MemoryMarshal.AsBytes<UInt4>(actual).SequenceEqual(expected), Is.True, module);
    }
}
