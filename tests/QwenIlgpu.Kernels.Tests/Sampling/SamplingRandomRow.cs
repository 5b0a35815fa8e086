namespace QwenIlgpu.Kernels.Tests;

/// <summary>Seeded rows for the sampling tests: any mixture of options, over logits that tie often or never.</summary>
internal static class SamplingRandomRow
{
    private static readonly float[] Temperatures = [0, 0.3f, 0.6f, 1, 1, 2.5f];
    private static readonly int[] TopKs = [0, 0, 1, 2, 5, 20, 1024];
    private static readonly float[] TopPs = [1, 1, 0.999f, 0.95f, 0.8f, 0.5f, 0.01f];
    private static readonly float[] MinPs = [0, 0, 0, 0.02f, 0.2f, 1];

    public static SamplingReferenceRow Of(Random random, int vocabulary)
    {
        bool ties = random.Next(2) == 0;                // multiples of 1/8 stay exact under these biases and penalties
        var parameters = new SlotParameters
        {
            Temperature = Pick(random, Temperatures),
            TopK = Pick(random, TopKs),
            TopP = Pick(random, TopPs),
            MinP = Pick(random, MinPs),
            RepetitionPenalty = ties ? Pick(random, [1, 2, 0.5f]) : 0.8f + random.NextSingle(),
            FrequencyPenalty = ties ? Pick(random, [0, 0.5f, -0.25f]) : (random.NextSingle() * 3) - 1.5f,
            PresencePenalty = ties ? Pick(random, [0, 1.5f, -0.5f]) : (random.NextSingle() * 3) - 1.5f,
            SeedLow = (uint)random.NextInt64(),
            SeedHigh = (uint)random.NextInt64(),
            Flags = (uint)random.Next(8),
        };
        float scale = Pick(random, [1f, 4, 8]);
        return new SamplingReferenceRow(
            Floats(random, vocabulary, scale, ties),
            parameters,
            Floats(random, vocabulary, 2, ties),
            Bits(random, vocabulary, Pick(random, [0.5, 0.9, 0.02])),
            Bits(random, vocabulary, 0.3),
            [.. Enumerable.Range(0, vocabulary).Select(_ => Math.Max(0, random.Next(8) - 4))]);
    }

    /// <summary>Normal, as a model's logits roughly are.</summary>
    public static float[] Normal(Random random, int length, double deviation) =>
        [.. Enumerable.Range(0, length).Select(_ => (float)(
            deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    private static float[] Floats(Random random, int length, float scale, bool ties) =>
        [.. Enumerable.Range(0, length)
            .Select(_ => ((random.NextSingle() * 2) - 1) * scale).Select(x => ties ? MathF.Round(x * 8) / 8 : x)];

    private static bool[] Bits(Random random, int length, double share) =>
        [.. Enumerable.Range(0, length).Select(_ => random.NextDouble() < share)];

    private static T Pick<T>(Random random, T[] values) => values[random.Next(values.Length)];
}
