using ILGPU;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Faults that no other device without a GPU shows, planted in the text of our kernels: each is found by the rule that it breaks.
/// </summary>
[NonParallelizable]
internal sealed class PlantedInPtxTests
{
    private const string WaitForAll = @"cp\.async\.wait_group 0;";
    private const string WaitForAllButOne = @"cp\.async\.wait_group 1;";
    private const string WaitForAllButThree = @"cp\.async\.wait_group 3;";
    private const string SmallerOfTwo = @"(setp\.lt\.s32\s+(%p\d+), (%r\d+), (%r\d+);\s+)selp\.b32\s+(%r\d+), \3, \4, \2;";
    private const string Barrier = @"bar\.sync\s+0;";
    private const string WarpBarrier = @"bar\.warp\.sync\s+4294967295;";

    [OneTimeSetUp]
    public void NeedsTheMachine() => Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // The last copies of a tile fill with zeros what nobody multiplies; they may land after the flag of the last group, or after sums.
    [Test]
    public void AMatMulThatReusesMemoryUnderItsLastCopies() => Assert.That(
        KindsOf(PrefillMatMulOnce, PtxEdit.Of("Kernel_PrefillMatMul", WaitForAll, "")), Has.Member(FaultKind.PendingCopy));

    [Test]
    public void AMatMulThatMultipliesAStageBeforeItCame() => Assert.That(
        KindsOf(PrefillMatMulOnce, PtxEdit.Of("Kernel_PrefillMatMul", WaitForAllButOne, "")), Has.Member(FaultKind.PendingCopy));

    [Test]
    public void ADecodeAttentionThatReadsASliceBeforeItCame() => Assert.That(
        KindsOf(DecodeAttentionOnce, PtxEdit.Of("Kernel_DecodeAttention", WaitForAll, "")), Has.Member(FaultKind.PendingCopy));

    [TestCase("")]
    [TestCase("cp.async.wait_group 4;")]
    public void ADecodeAttentionThatReadsCodesBeforeTheyCame(string instead) => Assert.That(
        KindsOf(CodedDecodeAttentionOnce, PtxEdit.Of("Kernel_DecodeAttention", WaitForAllButThree, instead)),
        Has.Member(FaultKind.PendingCopy));

    [Test]
    public void AChunkScanThatReadsItsTilesBeforeTheyCame() => Assert.That(
        KindsOf(ChunkScanOnce, PtxEdit.Of("Kernel_DeltaPrefillScan", WaitForAllButOne, "")), Has.Member(FaultKind.PendingCopy));

    [TestCase("")]
    [TestCase("cp.async.wait_group 1;")]
    public void AMatMulOfTwoStagesThatWaitsForTooFew(string instead) => Assert.That(
        KindsOf(TensorCoreMatMulOnce, PtxEdit.Of("Kernel_TensorCoreMatMul", WaitForAll, instead)), Has.Member(FaultKind.PendingCopy));

    [Test]
    public void AnAttentionThatReadsKeysBeforeTheyCame() => Assert.That(
        KindsOf(PrefillAttentionOnce, PtxEdit.Of("Kernel_PrefillAttention", WaitForAll, "")), Has.Member(FaultKind.PendingCopy));

    // A token is its own place in the page, however many there are: what nobody wrote has weight 0, and 0 times anything is anything.
    [Test]
    public void ADecodeAttentionThatReadsBehindTheLastToken() => Assert.That(
        KindsOf(
            () => DecodeRuns<Bf16PageFormat, Bf16PageFormat>.RunOnce(MachineDevice.Shared, 2, 1, 64, 67),
            PtxEdit.Of("Kernel_DecodeAttention", SmallerOfTwo, "$1mov.b32 $5, $3;")),
        Has.Member(FaultKind.UnwrittenMemory));

    [Test]
    public void ADecodeAttentionThatReadsCodesBehindTheLastToken() => Assert.That(
        PtxEdit.OneByOne("Kernel_DecodeAttention", @"min\.s32\s+(%r\d+), (%r\d+), (%r\d+);", "mov.b32 $1, $2;", CodedDecodeAttentionOnce)
            .Any(edit => KindsOf(CodedDecodeAttentionOnce, edit).Contains(FaultKind.UnwrittenMemory)));

    [Test]
    public void AnAttentionWithoutBarriers() => Assert.That(
        KindsOf(PrefillAttentionOnce, PtxEdit.Of("Kernel_PrefillAttention", Barrier, "")), Has.Member(FaultKind.SharedRace));

    // Codes wait in memory that is the thread's own; tiles are everybody's.
    [Test]
    public void AnAttentionOverCodesThatExpandsThemBeforeTheyCame() => Assert.That(
        KindsOf(PrefillAttentionOverCodesOnce, PtxEdit.Of("Kernel_PrefillAttention", WaitForAll, "")), Has.Member(FaultKind.PendingCopy));

    [Test]
    public void AnAttentionOverCodesWithoutBarriers() => Assert.That(
        KindsOf(PrefillAttentionOverCodesOnce, PtxEdit.Of("Kernel_PrefillAttention", Barrier, "")), Has.Member(FaultKind.SharedRace));

    // A lane takes a scale that another one copied.
    [Test]
    public void AnAttentionOverCodesWithoutBarriersOfItsWarps() => Assert.That(
        KindsOf(PrefillAttentionOverCodesOnce, PtxEdit.Of("Kernel_PrefillAttention", WarpBarrier, "")), Has.Member(FaultKind.WarpRace));

    // The barrier before a ticket makes the release of one thread that of its group.
    [Test]
    public void ASplitThatTakesItsTicketBeforeTheOthersHaveStored() => Assert.That(
        PtxEdit.OneByOne("Kernel_DecodeMatMul", Barrier, "", SplitMatMulOnce)
            .Any(edit => KindsOf(SplitMatMulOnce, edit).Contains(FaultKind.GlobalRace)));

    [Test]
    public void ASplitWhoseTicketOrdersNothing() => Assert.That(
        KindsOf(SplitMatMulOnce, PtxEdit.Of("Kernel_DecodeMatMul", @"atom\.acq_rel\.gpu", "atom.relaxed.gpu")),
        Has.Member(FaultKind.GlobalRace));

    [Test]
    public void NoneOfThemAsTheyAre() => Assert.Multiple(() =>
    {
        Assert.That(KindsOf(PrefillMatMulOnce), Is.Empty);
        Assert.That(KindsOf(PrefillAttentionOnce), Is.Empty);
        Assert.That(KindsOf(PrefillAttentionOverCodesOnce), Is.Empty);
        Assert.That(KindsOf(SplitMatMulOnce), Is.Empty);
        Assert.That(KindsOf(DecodeAttentionOnce), Is.Empty);
        Assert.That(KindsOf(CodedDecodeAttentionOnce), Is.Empty);
        Assert.That(KindsOf(ChunkScanOnce), Is.Empty);
        Assert.That(KindsOf(TensorCoreMatMulOnce), Is.Empty);
    });

    /// <summary>What is declared is broken, or the declaration is one too many.</summary>
    [TestCase("Kernel_DecodeMatMul", FaultKind.UndefinedValue)]
    [TestCase("Kernel_PackedDecodeMatMul", FaultKind.UndefinedValue)]
    [TestCase("Kernel_DeltaStepRows", FaultKind.WarpRace)]
    [TestCase("Kernel_KvAppend", FaultKind.GlobalRace)]
    public void ADeclarationIsNeeded(string kernel, FaultKind kind)
    {
        Action run = kernel switch
        {
            "Kernel_DecodeMatMul" => () => new DecodeRun(SmallWeights, 37, 192, 1).Y(),
            "Kernel_PackedDecodeMatMul" => () => new DecodeRun(SmallWeights, 37, 192, 17).Y(),
            "Kernel_KvAppend" => AppendPaddingOnce,
            _ => DeltaStepOnce,
        };

        IReadOnlyList<Fault> faults = MachineDevice.FaultsOf(run);

        Assert.That(faults, Is.Not.Empty);
        Assert.That(faults.Select(f => (f.Kernel, f.Kind)), Is.All.EqualTo((kernel, kind)));
        Assert.That(MachineDeclarations.All.Select(d => (d.Kernel, d.Kind)), Has.Member((kernel, kind)));
    }

    [Test]
    public void EveryDeclarationIsTestedForNeed() => Assert.That(
        MachineDeclarations.All.Select(d => (d.Kernel, d.Kind)),
        Is.EquivalentTo(typeof(PlantedInPtxTests).GetMethod(nameof(ADeclarationIsNeeded))!
            .GetCustomAttributes(typeof(TestCaseAttribute), false).Cast<TestCaseAttribute>()
            .Select(c => ((string)c.Arguments[0]!, (FaultKind)c.Arguments[1]!))));

    // ILGPU's division by 2^n is a shift without the correction for negative numbers: −1 / 16 is −1. On the CPU it is 0.
    [Test]
    public void ASignedDivisionOfANegativeNumber()
    {
        TestDevice device = MachineDevice.Shared;
        ArrayView<int> y = device.Poisoned<int>(3);

        device.Run(HalvingKernel.Halving, new KernelConfig(1, 1), new HalvingKernel(y, -1));

        Assert.That(device.Download(y), Is.EqualTo(new[] { -1, -1 / 16, -1 >> 4 }), "divided by a constant, by a number, shifted");
    }

    // Without a rounding of its own a product may go unrounded into a sum, in one kernel and not in its twin.
    [Test]
    public void ArithmeticThatNamesNoRounding()
    {
        const string Text = """
            .version 8.0
            .target sm_80
            .address_size 64
            .visible .entry Sum(.param .u64 y, .param .f32 a, .param .f32 b, .param .f32 c)
            {
                .reg .u64 %rd<2>;
                .reg .f32 %f<6>;
                ld.param.u64 %rd1, [y];
                ld.param.f32 %f1, [a];
                ld.param.f32 %f2, [b];
                ld.param.f32 %f3, [c];
                mul.f32 %f4, %f1, %f2;
                add.f32 %f5, %f4, %f3;
                st.global.f32 [%rd1], %f5;
                ret;
            }
            """;
        const float Small = 1 + (1f / 4096);                // its square has 24 bits behind the point, one more than a float

        Assert.Multiple(() =>
        {
            Assert.That(Sum(Text, contracts: false), Is.EqualTo((Small * Small) - 1f));
            Assert.That(Sum(Text, contracts: true), Is.EqualTo(MathF.FusedMultiplyAdd(Small, Small, -1f)).And.Not.EqualTo((Small * Small) - 1f));
            Assert.That(Sum(PtxRewrite.Apply(Text, null), contracts: true), Is.EqualTo((Small * Small) - 1f));
        });

        static unsafe float Sum(string text, bool contracts)
        {
            using var machine = new Machine();
            nint y = machine.Memory.Allocate(sizeof(float));
            byte[] parameters = [.. BitConverter.GetBytes((long)y), .. BitConverter.GetBytes(Small), .. BitConverter.GetBytes(Small), .. BitConverter.GetBytes(-1f)];
            machine.Launch(PtxModule.Parse(text, contracts).Kernels["Sum"], new GridShape(1, 1, 1, 1, 1, 1, 0), parameters);
            return *(float*)y;
        }
    }

    private static DecodeWeights SmallWeights { get; } = DecodeWeights.Random("int4", 37, 192, 64, WeightType.Bf16, 4);

    private static IEnumerable<FaultKind> KindsOf(Action run, Func<string, string>? edit = null) =>
        MachineDevice.FaultsOf(run, edit, MachineDeclarations.All).Select(f => f.Kind);

    private static void PrefillMatMulOnce() => new PrefillRun(MachineDevice.Shared, 17, 192).Y(SmallWeights, 37);

    private static void SplitMatMulOnce()
    {
        const int K = 4096;
        Matrix<float> y = MachineDevice.Shared.Poisoned<float>(1, 33);
        DecodeWeights weights = DecodeWeights.Random("int4", 33, K, 128, WeightType.F16, 8);
        MachineDevice.Shared.Run(DecodeMatMul.Bind(
            MachineDevice.Shared.Loader, new MatMulRows(MachineDevice.Shared.Upload(Seeded.Floats(9, K), 1, K)),
            [new Projection(weights.Upload(MachineDevice.Shared), y)], default, Operand16.Bf16, DecodeRun.Scratch(1, K, [33])));
    }

    private static void PrefillAttentionOverCodesOnce() => PrefillAttentionTests<Int8PageFormat, Int4PageFormat>.RunOnce(MachineDevice.Shared);

    private static void PrefillAttentionOnce() => PrefillAttentionTests<Bf16PageFormat, Bf16PageFormat>.RunOnce(MachineDevice.Shared);

    private static void DecodeAttentionOnce() =>
        DecodeRuns<Bf16PageFormat, Bf16PageFormat>.RunOnce(MachineDevice.Shared, 2, 1, 64, 30);

    private static void CodedDecodeAttentionOnce() =>
        DecodeRuns<Int4PageFormat, Int4PageFormat>.RunOnce(MachineDevice.Shared, 2, 1, 64, 100);

    private static void ChunkScanOnce() => DeltaPrefillTests.RunOnce(MachineDevice.Shared);

    private static void TensorCoreMatMulOnce() => TensorCoreMatMulTests.RunOnce(MachineDevice.Shared);

    private static void AppendPaddingOnce()
    {
        TestDevice device = MachineDevice.Shared;
        KvPages<F32PageFormat, F32PageFormat> pages = PagedSequences<F32PageFormat, F32PageFormat>.Poisoned(device, 1, 1, 8);
        device.Run(KvAppend.Bind(
            device.Loader, device.Upload(new float[16], 2, 8), device.Upload(new float[16], 2, 8), pages,
            new PagedRows(device.Upload(0, 0), device.Upload(0, 0), device.Upload([0], 1, 1))));
    }

    private static void DeltaStepOnce()
    {
        var shape = new DeltaShape(1, 1, 64, 64);
        var sequence = new DeltaStepSequence(shape, 2, 5, 5);
        new DeltaStepSlots(MachineDevice.Shared, shape, sequence, 2).Step((1, sequence, 0, 2));
    }
}

/// <summary>Divides by 16 in three ways.</summary>
internal readonly struct HalvingKernel(ArrayView<int> y, int dividend) : IGroupKernel
{
    public static void Halving(HalvingKernel kernel) => kernel.Execute();

    public void Execute()
    {
        int divisor = ILGPU.Group.DimX + 15;
        y[0] = dividend / 16;
        y[1] = dividend / divisor;
        y[2] = dividend >> 4;
    }
}
