using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

/// <summary>What a plan says is what an engine takes.</summary>
internal sealed class MemoryPlanTests
{
    private const int LongTokens = 262_144;

    private static ResolvedSampling Greedy { get; } = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, () => 0);

    // 16 layers · 4 heads · 256 values of keys and as many of values; 8 bits have a scale of 2 bytes per token and head, 4 bits a zero as well.
    [TestCase(KvType.Bf16, 65_536L)]
    [TestCase(KvType.F32, 131_072L)]
    [TestCase(KvType.Int8, 33_024L)]
    [TestCase(KvType.K8V4, 24_960L)]
    [TestCase(KvType.Int4, 16_896L)]
    public async Task PartsOf27BAreThoseOfItsShape(KvType kvType, long bytesPerToken)
    {
        await using QwenModel model = Unfilled27B();
        MemoryPlanner planner = PlannerOf27B(model, 1L << 40);

        MemoryPlan plan = planner.Plan(Capacity(model, sequences: 4, LongTokens, kvType));

        Assert.That(plan.CacheBytes, Is.EqualTo(4 * LongTokens * bytesPerToken));
        Assert.That(plan.RecurrentBytes, Is.EqualTo(4 * 150_994_944L));
        Assert.That(plan.ConvTailBytes, Is.EqualTo(4 * 48 * 4 * 10_240 * 4L), "four rows of floats in each of 48 layers");
        Assert.That(plan.SnapshotBytes, Is.EqualTo(plan.StateBytes), "four of them as well");
        Assert.That(plan.TwinBytes, Is.EqualTo(4 * LongTokens * 262_144L));
        Assert.That(plan.WeightBytes / (double)(1L << 30), Is.EqualTo(16.5).Within(0.15), "16.47 to 16.56 GiB with embedding and head in bf16");
        Assert.That(plan.Parts.Sum(p => p.Bytes), Is.EqualTo(plan.TotalBytes));
        Assert.That(plan.Fits);
    }

    // Bytes that a device was asked for: memory that measures takes the same calls as memory that is there.
    [TestCase(32_768, 91.5)]
    [TestCase(LongTokens, 93)]
    public async Task Int4CacheAndStatesSaveMostOfWhatAnAttentionTwinTakes(int contextTokens, double leastPercent)
    {
        await using QwenModel model = Unfilled27B();
        EngineCapacity capacity = Capacity(model, sequences: 1, contextTokens, KvType.Int4) with { SnapshotSlots = 0 };

        long stateBytes = DeviceMemory.Measure(model.Device, memory => _ = new ModelState(model.Device, memory, model.Config, capacity));

        double twinBytes = 2.0 * 64 * 4 * 256 * 2 * contextTokens;
        Assert.That(100 * (1 - (stateBytes / twinBytes)), Is.GreaterThanOrEqualTo(leastPercent));
        MemoryPlan plan = PlannerOf27B(model, 1L << 40).Plan(capacity);
        Assert.That(plan.SavedPercent, Is.GreaterThanOrEqualTo(leastPercent));
        Assert.That(plan.CacheBytes + plan.StateBytes, Is.LessThanOrEqualTo(stateBytes).And.GreaterThan(stateBytes - 6_000_000), "page table and what is reserved");
    }

    [Test]
    public async Task EngineAllocatesWhatAPlanBeforeLoadingSays([Values] KvType kvType, [Values(1, 3)] int sequences)
    {
        var options = new EngineOptions { MaxSequences = sequences, ContextTokens = 1000, KvType = kvType, PrefillChunkTokens = 128 };
        using var checkpoint = Checkpoint.Open(TestData.TinyModel);
        EngineCapacity capacity = options.Resolve(checkpoint.Config);
        MemoryPlan planned;
        await using (QwenModel unfilled = QwenModel.OpenUnfilled(TestData.TinyModel, new ModelOptions(), ComputeDevice.OpenCpu()))
            planned = new MemoryPlanner(unfilled, unfilled.WeightBytes, new DeviceRoom("enough", 1L << 40)).Plan(capacity);
        await using QwenModel model = await QwenModel.LoadAsync(TestData.TinyModel, new ModelOptions { Device = DeviceSelection.Cpu });

        using var runner = new StepRunner(model, capacity);

        Assert.That(model.WeightBytes, Is.EqualTo(planned.WeightBytes));
        Assert.That(runner.AllocatedBytes, Is.EqualTo(planned.HeldBytes + planned.ActivationBytes));
        Assert.That(runner.ArenaBytes, Is.EqualTo(planned.ActivationBytes));
        Assert.That(planned.GraphBytes + planned.DriverBytes, Is.Zero, "the CPU has neither");
    }

    [Test]
    public void NothingIsAllocatedWhileAnEngineAnswers()
    {
        var options = new EngineOptions { MaxSequences = 5, ContextTokens = 320, KvType = KvType.Bf16 };
        using var runner = new StepRunner(TestModels.Tiny, options.Resolve(TestModels.Tiny.Config));
        long before = runner.AllocatedBytes;
        var scheduler = new Scheduler(runner);
        GenerationRequest[] requests =
        [
            .. Enumerable.Range(0, 7).Select(p => Enumerable.Range(0, 20 + (p * 43)).Select(i => ((i * 37) + p) % 2000).ToArray())
                .Select(prompt => new GenerationRequest(prompt, 20, new HashSet<int>(), Greedy, new TokenStream(20, -1))),
        ];

        foreach (GenerationRequest request in requests)
            scheduler.Enqueue(request);
        do
        {
            scheduler.Update();
        }
        while (scheduler.Step());

        Assert.That(requests.Select(r => r.GeneratedTokens), Is.All.EqualTo(20));
        Assert.That(runner.AllocatedBytes, Is.EqualTo(before));
    }

    // What a planner has recorded for one context serves others whose rows are split alike, and no others.
    [Test]
    public async Task PlansOfOnePlannerAreThoseOfTheirOwn([Values] KvType kvType)
    {
        await using QwenModel model = Unfilled27B();
        MemoryPlanner shared = PlannerOf27B(model, 48L << 30);

        foreach (int contextTokens in (int[])[64, 8192, 1000, 100_000, LongTokens, 8192 - 64])
        {
            EngineCapacity capacity = Capacity(model, 2, contextTokens, kvType);
            Assert.That(shared.Plan(capacity), Is.EqualTo(PlannerOf27B(model, 48L << 30).Plan(capacity)), $"{contextTokens} tokens");
        }
    }

    [Test]
    public async Task LargestContextIsTheLastThatFits([Values(KvType.Bf16, KvType.Int4)] KvType kvType)
    {
        await using QwenModel model = Unfilled27B();
        MemoryPlanner planner = PlannerOf27B(model, 24L << 30);
        EngineCapacity capacity = Capacity(model, sequences: 1, 4096, KvType.Bf16);

        int largest = planner.LargestContextTokens(capacity, kvType);

        Assert.That(planner.Plan(Capacity(model, 1, largest, kvType)).Fits);
        if (largest < LongTokens)
            Assert.That(planner.Plan(Capacity(model, 1, largest + KvCache.PageTokens, kvType)).Fits, Is.False);
        Assert.That(largest, kvType == KvType.Int4 ? Is.EqualTo(LongTokens) : Is.InRange(60_000, 110_000), "16.5 GiB of weights leave about 6 GiB for 64 KiB a token");
    }

    [Test]
    public async Task WhatDoesNotFitIsRefusedWithEveryPartAndWhatWouldFit()
    {
        await using QwenModel model = Unfilled27B();
        MemoryPlanner planner = PlannerOf27B(model, 24L << 30);
        EngineCapacity capacity = Capacity(model, sequences: 1, LongTokens, KvType.Bf16);
        MemoryPlan plan = planner.Plan(capacity);

        InsufficientMemoryException error = Assert.Throws<InsufficientMemoryException>(() => planner.Require(capacity))!;

        foreach (MemoryPart part in plan.Parts.Where(p => p.Bytes > 0))
            Assert.That(error.Message, Does.Contain($"{part.Name} {part.Bytes}"));
        Assert.That(error.Message, Does.Contain($"synthetic 27b with 1 sequences of up to {LongTokens} tokens and a cache of {LongTokens} tokens in Bf16 takes {plan.TotalBytes} bytes"));
        Assert.That(error.Message, Does.Contain($"the GPU has {24L << 30} bytes for it"));
        Assert.That(error.Message, Does.Contain($"that fits is {planner.LargestContextTokens(capacity, KvType.Bf16)} tokens"));
        Assert.That(error.Message, Does.Contain($"{LongTokens} with KvType Int4"));
    }

    [Test]
    public async Task WeightsThatLeaveNoRoomAreRefusedAsSuch()
    {
        await using QwenModel model = Unfilled27B();

        Assert.That(
            () => PlannerOf27B(model, 16L << 30).Require(Capacity(model, 1, 4096, KvType.Int4)),
            Throws.InstanceOf<InsufficientMemoryException>().With.Message.Contains("No context fits in Int4"));
    }

    [Test]
    public void OnTheCpuTheHostBudgetsShareWhatIsLeft()
    {
        EngineCapacity capacity = new EngineOptions { MaxSequences = 1, ContextTokens = 256, HostSnapshotBytes = 1L << 50, SpillBytes = 10 }
            .Resolve(TestModels.Tiny.Config);
        var planner = new MemoryPlanner(TestModels.Tiny, TestModels.Tiny.WeightBytes, new DeviceRoom("a host", 1L << 30));

        MemoryPlan plan = planner.Plan(capacity);

        Assert.That(plan.Capacity.HostSnapshotBytes, Is.EqualTo(((1L << 30) - plan.TotalBytes) / 3));
        Assert.That(plan.Capacity.SpillBytes, Is.EqualTo(10));
    }

    private static QwenModel Unfilled27B() => SyntheticModel.CreateUnfilled(
        "synthetic 27b", SyntheticShape.Of("27b"), ComputeDevice.OpenCpu(recordsWarpKernels: true), HeadQuantization.None);

    private static MemoryPlanner PlannerOf27B(QwenModel model, long memoryBytes) => new(
        model, SyntheticModel.Measure(model.Config, model.Device, HeadQuantization.None).WeightBytes, DeviceRoom.OfCard(memoryBytes));

    private static EngineCapacity Capacity(QwenModel model, int sequences, int contextTokens, KvType kvType) => new EngineOptions
    {
        MaxSequences = sequences, ContextTokens = contextTokens, CacheTokens = sequences * contextTokens, KvType = kvType,
    }.Resolve(model.Config);
}
