using System.Diagnostics;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// What a debugger can step through: kernels whose groups have 256 threads, with the C# bodies of their instructions, on ILGPU's CPU
/// accelerator. The families with smaller groups have such a case in their own fixtures.
/// </summary>
[NonParallelizable]
internal sealed class ToyShapeTests
{
    [OneTimeSetUp]
    public void NeedsTheCpu() => Assume.That(TestDevice.Kind, Is.EqualTo("cpu"), "a GPU is asked for");

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    // One row by the fused kernel, nine by the packing one and its packed twin.
    [TestCase("int4", 1)]
    [TestCase("int4", 9)]
    [TestCase("int8", 1)]
    [TestCase("fp4", 1)]
    public void DecodeMatMulIsThatOfTheMachine(string format, int m)
    {
        DecodeWeights weights = DecodeWeights.Random(format, 16, 64, 64, WeightType.Bf16, 3);
        float[] expected = new DecodeRun(weights, 16, 64, m) { NormSeed = 5 }.Y();

        // Lanes without a tile name one behind the last, which they do not load; ILGPU's assertion would end the process.
        TraceListener[] listeners = [.. Trace.Listeners.Cast<TraceListener>()];
        Trace.Listeners.Clear();
        try
        {
            Assert.That(new DecodeRun(weights, 16, 64, m) { On = WarpDevice.Wide, NormSeed = 5 }.Y(), Is.EqualTo(expected));
        }
        finally
        {
            Trace.Listeners.AddRange(listeners);
        }
    }

    [TestCase(0.9f, 3)]
    [TestCase(0.8f, 0)]
    public void SamplingDrawsAsOnTheMachine(float topP, int topK)
    {
        var parameters = new SlotParameters { Temperature = 1.2f, TopK = topK, TopP = topP, SeedLow = 9, Flags = SlotParameters.HasLogProbs, TopLogProbs = 2 };
        SamplingReferenceRow[] rows = [new(Seeded.Floats(4, 24, 3), parameters)];

        int[] drawn = new SamplingBatch(SamplingTier.Named("toy"), rows).Step();

        Assert.That(drawn, Is.EqualTo(new SamplingBatch(SamplingTier.Named("groups"), rows).Step()));
    }

    [Test]
    public void TargetLogProbsAreThoseOfTheMachine()
    {
        float[] logits = Seeded.Floats(6, 2 * 40, 4);

        Assert.That(Run("toy"), Is.EqualTo(Run("groups")));

        float[] Run(string tier)
        {
            SamplingTier of = SamplingTier.Named(tier);
            ILGPU.ArrayView<float> result = of.Device.Poisoned<float>(2);
            of.Device.Run(TargetLogProbs.Bind(of.Loader, of.Device.Upload(logits, 2, 40), 40, of.Device.Upload(7, 39), result));
            return of.Device.Download(result);
        }
    }
}
