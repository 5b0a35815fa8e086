using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

internal static class SamplingBench
{
    private const int Columns = 248_320;
    private const int Vocabulary = 248_077;

    public static KernelBenchmark Greedy { get; } = Of("greedy", new SlotParameters());

    public static KernelBenchmark Thinking { get; } = Of("top-k 20, top-p 0.95",
        new SlotParameters { Temperature = 1, TopK = 20, TopP = 0.95f });

    public static KernelBenchmark NonThinking { get; } = Of(
        "top-k 20, top-p 0.8, presence 1.5",
        new SlotParameters
        {
            Temperature = 0.7f, TopK = 20, TopP = 0.8f, PresencePenalty = 1.5f, RepetitionPenalty = 1, Flags = SlotParameters.HasPenalties,
        });

    public static KernelBenchmark TemperatureAlone { get; } = Of("temperature 1", new SlotParameters { Temperature = 1, TopP = 1 });

    public static KernelBenchmark TopPAlone { get; } = Of("top-p 0.95", new SlotParameters { Temperature = 1, TopP = 0.95f });

    private static KernelBenchmark Of(string what, SlotParameters parameters) => new("sampling", $"[1, 248320] {what}", device =>
    {
        float[] logits = Seeded.Floats(1, Columns, 12);
        SamplingSlots slots = SamplingSlots.In(device.Poisoned<byte>(SamplingSlots.SizeInBytes(2, Vocabulary)), 2, Vocabulary);
        slots.Parameters.CopyFromCPU(device.Stream, [default, parameters]);
        slots.DrawIndex.MemSetToZero(device.Stream);
        slots.Seen.Data.MemSetToZero(device.Stream);
        device.Stream.Synchronize();
        SamplingScratch scratch = SamplingScratch.In(device.Poisoned<byte>(SamplingScratch.SizeInBytes(1)), 1);
        ArrayView<int> ids = device.Poisoned<int>(1);
        Launch[] launches = Sampling.Bind(
            device.Loader,
            device.Upload(logits, 1, Columns),
            Vocabulary,
            device.Upload([1]),
            slots,
            scratch,
            ids,
            new LogProbs(device.Poisoned<float>(1), device.Poisoned<int>(1, 20), device.Poisoned<float>(1, 20)));

        // The token drawn is the reference's, or the result is as wrong as can be.
        double Error()
        {
            var row = new SamplingReferenceRow(
                logits[..Vocabulary], parameters, InPrompt: new bool[Vocabulary], Generated: new int[Vocabulary]);
            return device.Download(ids)[0] == SamplingReference.Draw(SamplingReference.Kept(row), Philox.Uniform(0, 0, 0)) ? 0 : 1;
        }

        return new PreparedKernel(
            new Launch("sampling", 1, stream => Array.ForEach(launches, launch => launch.Run(stream))),
            Bytes: (long)Vocabulary * sizeof(float),
            Flops: 0,
            Error,
            Tolerance: 0);
    });
}
