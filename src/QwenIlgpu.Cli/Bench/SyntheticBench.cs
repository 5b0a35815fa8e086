using System.Globalization;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Bench;

/// <summary>Measures a synthetic model at several lengths of context, after its logits have been found sane.</summary>
/// <param name="bandwidth">Bytes a second; asked for before and after whatever is held against them, as a shared machine's change.</param>
internal sealed class SyntheticBench(QwenModel model, EngineOptions capacity, Func<double> bandwidth, SyntheticSteps steps, bool cudaGraphs, ProgressLine progress)
{
    private const int DecodeParts = 5;
    private const int AlternationPasses = 3;
    private const int CheckedPromptTokens = 16;
    private const double LeastDeviation = 1;
    private const double MostDeviation = 10;

    private readonly List<double> bandwidths = [];

    /// <summary>The report; a table of nodes for each context where they are asked for.</summary>
    public (JsonObject Report, IReadOnlyList<NodeTable> Nodes) Run(CancellationToken cancellation)
    {
        int longest = steps.Contexts.Max();
        long reached = (long)longest + steps.DecodeTokens + 1 + StepBench.SpareTokens;
        if (reached > model.MaxContextTokens)
            throw new UsageException($"--contexts and --decode-tokens reach {reached}; this shape was made for at most {model.MaxContextTokens}");
        using var bench = new StepBench(model, capacity, longest + steps.DecodeTokens + 1, cudaGraphs);
        double deviation = CheckLogits(bench);
        var rows = new JsonArray();
        var nodes = new List<NodeTable>();
        foreach (int context in steps.Contexts)
        {
            progress.Show($"context {rows.Count + 1} of {steps.Contexts.Length}: {context} tokens");
            rows.Add((JsonNode)Measure(bench, context, nodes, cancellation));
        }

        var report = new JsonObject
        {
            ["kind"] = "synthetic",
            ["model"] = model.Path,
            ["device"] = model.DeviceName,
            ["version"] = BuildVersion.Version,
            ["commit"] = BuildVersion.Commit,
            ["layers"] = model.Config.NumHiddenLayers,
            ["vocabulary"] = model.Config.VocabSize,
            ["weight_bytes"] = model.WeightBytes,
            ["state_bytes"] = bench.StateBytes,
            ["logits_standard_deviation"] = JsonOutput.Rounded(deviation, 3),
            ["bandwidth_gb_per_s"] = JsonOutput.Rounded(Median.Of(bandwidths) / 1e9, 2),
            ["launches_per_token"] = bench.LaunchesPerToken,
            ["prefill_chunk_tokens"] = bench.PrefillChunkTokens,
            ["decode_tokens"] = steps.DecodeTokens,
            ["prefill"] = steps.SkipsPrefill ? "skipped" : "measured",
            ["contexts"] = rows,
        };
        if (steps.Decoding > 0)
            report["alternation"] = new JsonArray([.. steps.Contexts.Select(c => Alternate(c, cancellation))]);
        return (report, nodes);
    }

    private JsonObject Alternate(int context, CancellationToken cancellation)
    {
        if (AlternationBench.ContextTokens(context) > model.MaxContextTokens)
            throw new UsageException($"--contexts {context} and --decoding reach beyond the {model.MaxContextTokens} tokens that this shape was made for");
        progress.Show($"a prompt of {context} tokens while {steps.Decoding} sequences decode");
        using var bench = new AlternationBench(model, capacity, RandomPrompt(context), steps.Decoding, cudaGraphs);
        return bench.Run(AlternationPasses, cancellation);
    }

    /// <summary>Standard deviation of the logits; throws unless they are finite and it is from 1 to 10, in prefill and in decode.</summary>
    public static double DeviationOf(float[] logits, string where)
    {
        if (Array.FindIndex(logits, l => !float.IsFinite(l)) is >= 0 and int bad)
            throw new InvalidDataException($"synthetic weights: logit {bad} of the {where} is {logits[bad]}; nothing is timed");
        double mean = logits.Average();
        double deviation = Math.Sqrt(logits.Average(l => (l - mean) * (l - mean)));
        return deviation is >= LeastDeviation and <= MostDeviation
            ? deviation
            : throw new InvalidDataException(string.Create(
                CultureInfo.InvariantCulture,
                $"synthetic weights: the logits of the {where} have a standard deviation of {deviation:G4}, outside {LeastDeviation} to {MostDeviation}; nothing is timed"));
    }

    private double CheckLogits(StepBench bench)
    {
        (float[] prefill, float[] decode) = bench.LogitsOf(RandomPrompt(CheckedPromptTokens));
        DeviationOf(prefill, "prompt");
        return DeviationOf(decode, "first decoded token");
    }

    private JsonObject Measure(StepBench bench, int context, List<NodeTable> nodes, CancellationToken cancellation)
    {
        int[] prompt = RandomPrompt(context);

        // The first pass compiles, captures and loads what is loaded late; it needs only a few tokens.
        bench.Run(prompt, Math.Min(steps.DecodeTokens, 3), cancellation, skipsPrompt: true);
        var around = new List<double>();
        BenchRun run = bench.Run(
            prompt, steps.DecodeTokens, cancellation, Math.Min(DecodeParts, steps.DecodeTokens), steps.SkipsPrefill, steps.TimesNodes,
            beforePart: () => around.Add(bandwidth()));
        around.Add(bandwidth());
        bandwidths.AddRange(around);
        double[] rates = [.. run.DecodeRates.Order()];
        double median = Median.Of(rates);
        double bytesPerSecond = Median.Of(around);
        var plan = NodePlan.Of(bench.DecodeGraph, context + (steps.DecodeTokens / 2), bytesPerSecond);

        // Each part's median token against what was measured, medians too, just before and just after it.
        double ofRoofline = Median.Of(run.TokenSeconds.Select(
            (tokens, i) => plan.Microseconds / 1e6 / Median.Of(tokens) * bytesPerSecond / ((around[i] + around[i + 1]) / 2)));
        double[] all = [.. run.TokenSeconds.SelectMany(t => t)];
        if (steps.TimesNodes)
            nodes.Add(new NodeTable(run.Nodes, context + steps.DecodeTokens + 1, bytesPerSecond));
        return new JsonObject
        {
            ["context_tokens"] = context,
            ["prefill_tokens_per_second"] = steps.SkipsPrefill ? null : JsonOutput.Rounded(context / run.Prefill.TotalSeconds, 2),
            ["decode_tokens_per_second"] = JsonOutput.Rounded(median, 2),
            ["decode_min"] = JsonOutput.Rounded(rates[0], 2),
            ["decode_max"] = JsonOutput.Rounded(rates[^1], 2),
            ["bytes_per_token"] = plan.Bytes,
            ["predicted_tokens_per_second"] = JsonOutput.Rounded(1e6 / plan.Microseconds, 2),
            ["percent_of_roofline"] = JsonOutput.Rounded(ofRoofline * 100, 2),
            ["token_median_ms"] = JsonOutput.Rounded(Median.Of(all) * 1e3, 2),
            ["longest_token_in_medians"] = JsonOutput.Rounded(all.Max() / Median.Of(all), 2),
            ["bandwidth_min_gb_per_s"] = JsonOutput.Rounded(around.Min() / 1e9, 2),
            ["bandwidth_max_gb_per_s"] = JsonOutput.Rounded(around.Max() / 1e9, 2),
        };
    }

    private int[] RandomPrompt(int tokens)
    {
        var random = new Random(tokens);
        return [.. Enumerable.Range(0, tokens).Select(_ => random.Next(model.VocabularySize))];
    }
}

/// <summary>What a synthetic bench runs.</summary>
/// <param name="Contexts">Lengths of the prompts.</param>
/// <param name="DecodeTokens">Tokens decoded after each.</param>
/// <param name="SkipsPrefill">Whether the prompts are only pretended.</param>
/// <param name="TimesNodes">Whether the nodes of a decode step are timed at each length.</param>
/// <param name="Decoding">Sequences that decode beside each prompt in a further measurement; 0 leaves it out.</param>
internal sealed record SyntheticSteps(int[] Contexts, int DecodeTokens, bool SkipsPrefill, bool TimesNodes, int Decoding = 0);
