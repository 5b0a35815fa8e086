using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>What a plan made without a GPU says is what a GPU is asked for.</summary>
internal sealed class PlanTests
{
    // The driver rounds each of the two buffers up: one of activations, one of all else.
    private const long GranularityBytes = 1 << 20;

    [Test]
    public async Task EngineTakesWhatThePlanWithoutAGpuSays([Values] KvType kvType)
    {
        var options = new EngineOptions { MaxSequences = 3, ContextTokens = 2000, KvType = kvType };
        MemoryPlan planned;
        EngineCapacity capacity;
        await using (QwenModel unfilled = QwenModel.OpenUnfilled(TinyModel.Folder, new ModelOptions(), ComputeDevice.OpenCpu(recordsWarpKernels: true)))
        {
            capacity = options.Resolve(unfilled.Config);
            planned = new MemoryPlanner(unfilled, unfilled.WeightBytes, DeviceRoom.OfCard(16L << 30)).Plan(capacity);
        }

        await using QwenModel model = await TinyModel.LoadAsync();
        var gpu = (CudaAccelerator)model.Device.Accelerator;
        long before = gpu.GetFreeMemory();
        using var runner = new StepRunner(model, capacity);

        Assert.That(model.WeightBytes, Is.EqualTo(planned.WeightBytes));
        Assert.That(runner.Capacity.PrefillChunkTokens, Is.EqualTo(planned.Capacity.PrefillChunkTokens).And.EqualTo(2048));
        Assert.That(runner.AllocatedBytes, Is.EqualTo(planned.HeldBytes + planned.ActivationBytes));
        Assert.That(before - gpu.GetFreeMemory(), Is.EqualTo(runner.AllocatedBytes).Within(GranularityBytes));
        Assert.That(planned.GraphBytes, Is.EqualTo(runner.Plan.GraphBytes).And.GreaterThan(0));
    }

    [Test]
    public async Task WhatDoesNotFitIsRefusedWithoutAnAllocation()
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        EngineCapacity capacity = new EngineOptions { MaxSequences = 64, CacheTokens = int.MaxValue, KvType = KvType.F32 }.Resolve(model.Config);
        StandIn.Clear();

        Assert.That(
            () => new StepRunner(model, capacity), Throws.InstanceOf<InsufficientMemoryException>().With.Message.Match(@"weights \d+, cache \d+, states \d+, .+ has \d+ bytes for it"));

        Assert.That(StandIn.Calls.Select(c => c.Call), Has.None.StartsWith("cuMemAlloc").And.None.StartsWith("cuMemHostAlloc"));
    }
}
