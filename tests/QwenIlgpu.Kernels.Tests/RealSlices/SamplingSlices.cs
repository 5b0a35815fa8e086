using ILGPU;
using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Rows of the tokenizer's 248,077 logits, drawn from by groups and by the portable kernels.</summary>
internal static class SamplingSlices
{
    private const int Vocabulary = 248_077;
    private const int Columns = 248_320;

    public static IEnumerable<Slice> All =>
    [
        new(["FindBestKernel", "WeighSectionsKernel", "ListKernel", "DrawKernel"], device => Draw(device, runsWarpKernels: true)),
        new(
            ["LogitMassKernel", "SelectCandidatesKernel", "SumMassKernel", "SampleKernel", "LogProbsKernel"],
            device => Draw(device, runsWarpKernels: false))
        {
            RunsWarpKernels = false,
        },
        new("TargetLogProbsRowKernel", TargetProbabilities),
        new("TargetLogProbsKernel", TargetProbabilities) { RunsWarpKernels = false },
        new(["ArgMaxBlocksKernel", "ArgMaxKernel"], Largest),
        new("ForbidIdsKernel", Forbid),
    ];

    // A row as a chat draws it, and one that asks for log-probabilities.
    private static SliceResult Draw(TestDevice device, bool runsWarpKernels)
    {
        var random = new Random(7);
        SamplingReferenceRow[] rows =
        [
            new(SamplingRandomRow.Normal(random, Vocabulary, 2.5),
                new SlotParameters { Temperature = 0.7f, TopK = 20, TopP = 0.8f, SeedLow = 11 }),
            new(SamplingRandomRow.Normal(random, Vocabulary, 2.5),
                new SlotParameters { Temperature = 1, TopP = 0.95f, SeedLow = 12, Flags = SlotParameters.HasLogProbs, TopLogProbs = 20 }),
        ];
        int[] drawIndex = [5, 9];
        var batch = new SamplingBatch(new SamplingTier(device, runsWarpKernels), rows, drawIndex);
        int[] ids = batch.Step();
        ulong[] cutoffs = batch.Cutoffs;
        (float[] drawn, int[] topIds, float[] top) = (batch.DrawnLogProbs, batch.TopIds[20..], batch.TopLogProbs[20..]);
        return new SliceResult(() =>
        {
            for (int r = 0; r < rows.Length; r++)
                Assert.That(SamplingDefinitionTests.Check(rows[r], drawIndex[r], ids[r], cutoffs[r]), $"row {r} is decided by rounding: another seed");
            float[] logits = rows[1].Logits;
            double[] expected = SamplingReference.LogProbs(logits);
            int[] ranking = [.. Enumerable.Range(0, Vocabulary).OrderByDescending(i => logits[i]).ThenBy(i => i).Take(20)];

            // A float logit less a double logarithm whose argument was rounded to float: about 1e-6 at magnitude 10.
            Assert.That(drawn[1], Is.EqualTo(expected[ids[1]]).Within(3e-6));
            Assert.That(topIds, Is.EqualTo(ranking));
            AssertClose(top, [.. ranking.Select(i => expected[i])], 3e-6);
        }).Leaving(ids).Leaving(cutoffs).Leaving(drawn).Leaving(topIds).Leaving(top);
    }

    private static SliceResult TargetProbabilities(TestDevice device)
    {
        float[] logits = Seeded.Floats(1, 2 * Columns, 15);
        int[] targets = [Vocabulary - 1, 7919];
        ArrayView<float> logProbs = device.Poisoned<float>(2);
        device.Run(TargetLogProbs.Bind(device.Loader, device.Upload(logits, 2, Columns), Vocabulary, device.Upload(targets), logProbs));
        float[] actual = device.Download(logProbs);

        // Values up to about 30, whose own rounding is 1e-6; a thread adds at most 122 eights in float, 8e-6 of the sum and its logarithm.
        return new SliceResult(() => AssertClose(
            actual,
            [.. targets.Select((target, row) => SamplingReference.LogProbs(logits[(row * Columns)..((row * Columns) + Vocabulary)])[target])],
            1e-5)).Leaving(actual);
    }

    private static SliceResult Largest(TestDevice device)
    {
        float[] logits = [.. Seeded.Floats(2, 2 * Columns, 50).Select(x => MathF.Round(x))];      // many equals
        ArrayView<int> ids = device.Poisoned<int>(2);
        SamplingScratch scratch = SamplingScratch.In(device.Poisoned<byte>(SamplingScratch.SizeInBytes(2)), 2);
        device.Run(ArgMax.Bind(device.Loader, device.Upload(logits, 2, Columns), Vocabulary, scratch, ids));
        int[] actual = device.Download(ids);
        return new SliceResult(() => Assert.That(
            actual, Is.EqualTo(logits.Chunk(Columns).Select(row => Array.IndexOf(row, row[..Vocabulary].Max()))))).Leaving(actual);
    }

    // The rows of the head that no token has.
    private static SliceResult Forbid(TestDevice device)
    {
        int[] ids = [.. Enumerable.Range(Vocabulary, Columns - Vocabulary)];
        float[] logits = Seeded.Floats(3, 2 * Columns);
        Matrix<float> view = device.Upload((float[])logits.Clone(), 2, Columns);
        device.Run(ForbidIds.Bind(device.Loader, view, device.Upload(ids)));
        float[] actual = device.Download(view);
        return new SliceResult(() =>
        {
            for (int i = 0; i < logits.Length; i++)
            {
                if (actual[i] != (i % Columns >= Vocabulary ? float.MinValue : logits[i]))
                    Assert.Fail($"row {i / Columns}, id {i % Columns}");
            }
        }).Leaving(actual);
    }
}
