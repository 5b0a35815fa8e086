using System.Reflection;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every kernel of the catalogue, in every instantiation, is launched on the PTX machine by a test that checks what it does.</summary>
[NonParallelizable]
internal sealed class MachineKernelTests
{
    // Tests that launch them all between them, exhaustive ones where no quick one does.
    private const string Runs = """
        ArgMaxTests(Ptx).MatchesReference(3,1009)
        CausalConv1dTests(Ptx).SnapshotIsTheRingOfAShorterSequence(6)
        CheckpointFormatTests(Ptx).PadsWithEightsAndScalesOfZero
        DecodeAttentionTests.MatchesReference("machine",6,1,256,[127, 1000])
        DecodeAttentionTests.MatchesReference("machine",8,2,128,[65, 191, 257])
        DecodeAttentionTests.MatchesReferenceInRowsOfOneSequence(2)
        DecodeEpilogueTests.FindsTheLargestOfEqualsLowestFirst(9)
        DecodeEpilogueTests.NormalisesAsTheNormAlone(9,192)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(1,Bf16)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(1,F16)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(17,Bf16)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(17,F16)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(9,Bf16)
        DecodeEpilogueTests.ProjectionsOfALaunchAreEachAlone(9,F16)
        DecodeFeedbackTests(Ptx).AdvancesAndEndsSlots
        DecodeFeedbackTests(Ptx).FeedsActiveSlotsAndPadsTheRest
        DecodeFeedbackTests(Ptx).SetsOneSlotAlone
        DecodeMatMulTests.ABatchIsItsRowsBitForBit("int4",37,192,64,Bf16)
        DecodeMatMulTests.MatchesReference("bf16",37,132,0,Bf16,1)
        DecodeMatMulTests.MatchesReference("bf16",37,132,0,Bf16,17)
        DecodeMatMulTests.MatchesReference("int4z",48,96,32,Bf16,17)
        DecodeMatMulTests.MatchesReference("int4z",48,96,32,Bf16,2)
        DecodeMatMulTests.MatchesReference("int4z",48,96,32,Bf16,9)
        DecodeMatMulTests.MatchesReference("int8",37,160,32,F16,17)
        DecodeMatMulTests.MatchesReference("int8",37,160,32,F16,3)
        DecodeMatMulTests.MatchesReference("int8",37,160,32,F16,9)
        DecodeMatMulTests.MatchesReferenceInF16("f16",37,132,0)
        DecodeMatMulTests.MatchesReferenceInF16("int4",37,192,64)
        DecodeMatMulTests.MatchesReferenceInF16("int4z",48,96,32)
        DecodeMatMulTests.MatchesReferenceInF16("int8",37,160,32)
        DeltaPrefillInputsTests.MatchesThePortableKernels(1,1,64)
        DeltaPrefillInputsTests.MatchesThePortableKernels(1,3,128)
        DeltaPrefillTests.KeepsAnF16StateOfRealHeads
        DeltaPrefillTests.MatchesReference(1,1,64,17,0)
        DeltaPrefillTests.MatchesReference(1,3,128,17,0)
        DeltaStateTypeTests.PortableKernelsKeepAnF16State(False,Ptx)
        DeltaStateTypeTests.PortableKernelsKeepAnF16State(True,Ptx)
        DeltaStepTests.MatchesReference(1,1,64,64,3,1)
        DeltaStepTests.RowsInOneStepEqualRowsInMany(True)
        DenseMatMulTests(Ptx).MatchesReference(F16,3,1,1)
        DenseMatMulTests(Ptx).MatchesReference(F32,1,1,1)
        DequantMatMulTests(Ptx).MatchesReference(Bf16,3,1,1,128)
        DequantMatMulTests(Ptx).MatchesReferenceInEveryLayout(Bf16,True,1,37,50,32)
        EmbeddingTests(Ptx).CopiesTheRowsOfTheIds(Bf16,7)
        EmbeddingTests(Ptx).CopiesTheRowsOfTheIds(F16,7)
        EmbeddingTests(Ptx).CopiesTheRowsOfTheIds(F32,7)
        EmbeddingTests(Ptx).TakesRowsOfAnInt4TableExactly(Bf16,67,32)
        EmbeddingTests(Ptx).TakesRowsOfAnInt4TableExactly(F16,100,64)
        EmbeddingTests(Ptx).TakesRowsOfAnInt8TableExactly(Bf16,67,32)
        EmbeddingTests(Ptx).TakesRowsOfAnInt8TableExactly(F16,67,32)
        ExpandInt4Tests(Ptx).WeightsAreRoundedOnce(37,96,32,9,21)
        ForbidIdsTests("groups").GivesIdsOfEachRowTheLowestLogitAndLeavesTheOthers(5,2053)
        GatedAttentionTests<Single,F32Format>(Ptx).SurvivesScoresFarBeyondTheRangeOfTheExponential
        GatedAttentionTests<UInt16,Bf16Format>(Ptx).GatesWithTheSigmoid
        GatedDeltaRuleTests(Ptx).MatchesWorkedExample(True)
        GatedDeltaRuleTests(Ptx).PartsOfThreadsChangeNothing(True)
        GatedDeltaRuleTests(Ptx).SnapshotsAreTheStatesOfShorterPrompts(False)
        GatedRmsNormTests(Ptx).WorksInPlace
        GatherRowsTests(Ptx).CopiesTheRowsAskedFor(131)
        Int8MatMulTests(Ptx).MatchesReference(Bf16,1,1,1,32)
        MatMulFaultTests(Ptx).IsWrongWithTheScaleOfTheNeighbour(1)
        PrefillAttentionTests.FindsOneLargeScore(299)
        PrefillAttentionTests.MatchesReference(3,1,128)
        PrefillAttentionTests.MatchesReferenceOneHeadOf256
        PrefillAttentionTests.MatchesReferenceTwoHeadsAGroup
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("bf16",0,Bf16)
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("f16",0,F16)
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("int4",32,Bf16)
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("int4",32,F16)
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("int4",64,Bf16)
        PrefillMatMulTests.FewTokenTilesHaveTheSameBits("int4",64,F16)
        PrefillMatMulTests.MatchesReference("int4",16,128,128,F16,1)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("bf16",0,Bf16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("f16",0,F16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int4",32,Bf16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int4",32,F16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int4",64,Bf16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int4",64,F16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int8",32,Bf16)
        PrefillMatMulTests.SmallTilesHaveTheSameBits("int8",32,F16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("bf16",0,Bf16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("f16",0,F16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int4",32,Bf16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int4",32,F16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int4",64,Bf16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int4",64,F16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int8",32,Bf16)
        PrefillMatMulTests.WideTilesHaveTheSameBits("int8",32,F16)
        QkNormRotaryAppendTests<Single,F32Format>.MatchesReferenceAndWritesNothingElse("machine",7,6,2,64,16)
        QkNormRotaryAppendTests<UInt16,Bf16Format>.MatchesReferenceAndWritesNothingElse("machine",1,1,1,32,32)
        QkNormRotaryTests(Ptx).MatchesReference(1,1,1,4,2)
        RandomFillTests(Ptx).Bf16ValuesAreUniform(0.02f,0.005f)
        RandomFillTests(Ptx).CeilingKernelsReadAndCopyEveryWord
        RandomFillTests(Ptx).Int8CodesHaveTheStatedDeviation
        RmsNormTests(Ptx).KeepsRowsAndPartsApart(1)
        RoundToNearestInt4Tests(Ptx).MatchesReference(Bf16,Bf16,16,128,128)
        RoundToNearestInt4Tests(Ptx).MatchesReference(Bf16,F16,1,3,64)
        RoundToNearestInt4Tests(Ptx).MatchesReference(F16,Bf16,16,128,128)
        RoundToNearestInt4Tests(Ptx).MatchesReference(F16,F16,16,128,128)
        RoundToNearestInt4Tests(Ptx).MatchesReference(F32,Bf16,1,3,64)
        RoundToNearestInt4Tests(Ptx).MatchesReference(F32,F16,1,3,64)
        RoundToNearestInt8Tests(Ptx).MatchesReference(Bf16,Bf16,16,128,128)
        RoundToNearestInt8Tests(Ptx).MatchesReference(Bf16,F16,1,3,32)
        RoundToNearestInt8Tests(Ptx).MatchesReference(F16,Bf16,16,128,128)
        RoundToNearestInt8Tests(Ptx).MatchesReference(F16,F16,16,128,128)
        RoundToNearestInt8Tests(Ptx).MatchesReference(F32,Bf16,1,3,32)
        RoundToNearestInt8Tests(Ptx).MatchesReference(F32,F16,16,128,128)
        SamplingLogProbsTests("ptx").AreTheModelsOwn(1,0)
        SamplingTests("groups").BiasPrecedesRepetition
        SlotAdmissionTests(Ptx).ClearsTheSlotAndMarksThePrompt(1009)
        SlotAdmissionTests(Ptx).SetsBiasAndMask(1009)
        SwiGluTests(Ptx).WritesOverItsGate
        TargetLogProbsTests("groups").IsStable(0,900)
        TargetLogProbsTests("ptx").MatchesReference(1,1,1)
        TensorCoreMatMulTests.MatchesReferenceInBf16("machine",203,130,424)
        TensorCoreMatMulTests.MatchesReferenceInF16("machine",203,130,424)
        """;

    [Test]
    public void EveryRunIsATest() => Assert.That(Names.Where(n => !MachineRun.Exists(n)), Is.Empty);

    [Category("Exhaustive")]
    [Test]
    public void LaunchesEveryKernel()
    {
        Assume.That(WarpDevice.Usual, Is.EqualTo("machine"), "another device is asked for");
        MachineDevice.Launched.Clear();

        foreach (string name in Names)
            MachineRun.Of(name);

        Assert.That(KernelCatalogue.All.Where(k => !MachineDevice.Launched.Contains(k.Method)).Select(k => k.ToString()), Is.Empty);
    }

    private static IEnumerable<string> Names => Runs.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
}
