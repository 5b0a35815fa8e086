using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class SchedulerTests
{
    private static readonly int[] Prompt = TestModels.Tiny.Tokenize(
        "<|im_start|>user\nWhat is the capital of Norway?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n", parseSpecial: true);

    private static ResolvedSampling Greedy { get; } = ResolvedSampling.Resolve(new SamplingOptions { Temperature = 0 }, null, 2048, static _ => true, () => 0);

    // The answer ends with an end-of-turn token that the device sees first: a step queued behind it must not touch the state.
    [Test]
    public void StepQueuedBehindTheEndLeavesTheStateAlone()
    {
        (float[][] expected, int expectedTokens) = StateAfterAnswer(stepsInFlight: 1);

        (float[][] actual, int tokens) = StateAfterAnswer(stepsInFlight: 2);

        Assert.That(tokens, Is.EqualTo(expectedTokens));
        for (int i = 0; i < expected.Length; i++)
            Assert.That(actual[i], Is.EqualTo(expected[i]), $"state {i}");
    }

    [Test]
    public void PrefillAndDecodeAlternateWhileThereIsWorkForBoth()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, contextTokens: 2048);
        var scheduler = new Scheduler(sequences.Runner);
        GenerationRequest decoding = Enqueue(scheduler, Prompt, 50);
        scheduler.Update();
        scheduler.Step();
        GenerationRequest prefilling = Enqueue(scheduler, new int[1500], 5);
        scheduler.Update();

        var fed = new List<(int Prompt, int Generated)>();
        for (int i = 0; i < 5; i++)
        {
            scheduler.Step();
            fed.Add((prefilling.Sequence.FedTokens, decoding.GeneratedTokens));
        }

        Assert.That(fed, Is.EqualTo(new[] { (0, 2), (512, 2), (512, 3), (1024, 3), (1024, 4) }));
    }

    [Test]
    public void PromptThatDoesNotFitTheStepEndsItAtAMultipleOf64()
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, contextTokens: 2048);
        var scheduler = new Scheduler(sequences.Runner);
        GenerationRequest first = Enqueue(scheduler, new int[100], 5);
        GenerationRequest second = Enqueue(scheduler, new int[1000], 5);
        scheduler.Update();

        scheduler.Step();

        Assert.That((first.Sequence.FedTokens, second.Sequence.FedTokens), Is.EqualTo((100, 384)), "512 rows less 100, down to a multiple of 64");
    }

    private static GenerationRequest Enqueue(Scheduler scheduler, int[] prompt, int maxTokens)
    {
        var request = new GenerationRequest(prompt, maxTokens, TestModels.Tiny.EndIds, Greedy, new TokenStream(maxTokens, -1));
        scheduler.Enqueue(request);
        return request;
    }

    private static (float[][] State, int Tokens) StateAfterAnswer(int stepsInFlight)
    {
        using var sequences = new SequenceRunner(TestModels.Tiny, options: new StepRunnerOptions(StepsInFlight: stepsInFlight));
        var scheduler = new Scheduler(sequences.Runner);
        GenerationRequest request = Enqueue(scheduler, Prompt, 200);
        scheduler.Update();
        int slot = request.Sequence.Slot;
        while (scheduler.Step())
        {
        }

        Assert.That(request.Sequence.Retired, Is.True);
        ComputeDevice device = TestModels.Tiny.Device;
        float[][] state =
        [
            .. sequences.Runner.State.DeltaLayers.OfType<DeltaSlots>().SelectMany(l => new[] { l.States.Slot<float>(slot), l.Ring.Row(slot) }).Select(view =>
            {
                var values = new float[view.Length];
                view.CopyToCPU(device.Stream, values);
                device.Synchronize();
                return values;
            }),
        ];
        return (state, request.GeneratedTokens);
    }
}
