using System.CommandLine;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Eval;
using QwenIlgpu.Kernels;
using static System.FormattableString;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen eval kld`: how far next-token distributions are from those of a reference run.</summary>
internal static class DivergenceCommand
{
    public const string Examples =
        """
        qwen eval kld --text wiki.test.raw --save reference.safetensors --kv-type f32
        qwen eval kld --text wiki.test.raw --reference reference.safetensors --kv-type int4 --json
        qwen eval kld --text wiki.test.raw --reference reference.safetensors --quantize int4
        """;

    private const int DefaultTokens = 512;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var text = new Option<string>("--text")
        {
            Description = "Text file in UTF-8; - is standard input.", HelpName = "FILE", Required = true, Arity = ArgumentArity.ExactlyOne,
        };
        var save = new Option<string?>("--save")
        {
            Description = "Write the log-probabilities of this run: F32 log_probs [positions, vocabulary], 4 bytes for every id at every position.",
            HelpName = "OUT.safetensors", Arity = ArgumentArity.ExactlyOne,
        };
        var reference = new Option<string?>("--reference")
        {
            Description = "Hold this run against log-probabilities that --save wrote of the same text.",
            HelpName = "IN.safetensors", Arity = ArgumentArity.ExactlyOne,
        };
        Option<int?> tokens = NumberOption.Optional<int>(
            "--tokens", "Tokens of the text, from its beginning, in one sequence.", NumberRange.Whole(2), "512; with --reference as many as it has");
        var model = new ModelArguments(KvType.Bf16) { TakesContext = false };
        var command = new Command("kld", "Measure the Kullback-Leibler divergence of next-token distributions from a reference run's.")
        {
            text, save, reference, tokens,
        };
        model.AddTo(command);
        command.SetAction((parse, cancellation) => RunAsync(parse, cancellation));
        return command;

        async Task<int> RunAsync(ParseResult parse, CancellationToken cancellation)
        {
            (string? output, string? input) = (parse.GetValue(save), parse.GetValue(reference));
            if (output is null == input is null)
                throw new UsageException("one of --save and --reference must be given: a run is written, or held against one that was");
            string name = parse.GetRequiredValue(text);
            string content = await TextInput.ReadAsync(name, "--text", terminal, cancellation).ConfigureAwait(false);

            if (output is not null)
                ProtectedInputs.Refuse("--save", output, ModelDirectory.Resolve(parse, common, terminal), ("--text", name));

            // Before the model is loaded, so that files that cannot be used cost nothing.
            using ReferenceFile? against = input is null ? null : ReferenceFile.Open(input);
            using SafetensorsWriter? writer = output is null
                ? null : new SafetensorsWriter(output, await OutputFile.CreateAsync(output, cancellation).ConfigureAwait(false));
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.Tokenizer, cancellation).ConfigureAwait(false);
            int most = parse.GetValue(tokens) ?? against?.Ids.Length ?? DefaultTokens;
            int[] ids = IdsOf(loaded, content, name, most);
            if (against is not null)
                Check(against, input!, ids, most, loaded);
            using var logits = new PositionLogits(loaded, ids.Length, model.KvTypeOf(parse), model.StateTypeOf(parse));
            using var progress = new ProgressLine(terminal);
            var report = new JsonObject
            {
                ["model"] = loaded.Path,
                ["device"] = loaded.DeviceName,
                ["tokens"] = ids.Length,
                ["kv_type"] = ModelArguments.WordOf(model.KvTypeOf(parse)),
                ["state_type"] = ModelArguments.WordOf(model.StateTypeOf(parse)),
            };
            if (against is null)
                Save(writer!, output!, loaded, ids, logits, report, progress, cancellation);
            else
                Compare(against, input!, loaded, ids, logits, report, parse.GetValue(common.Json), progress, cancellation);
            progress.Clear();
            if (parse.GetValue(common.Json))
                terminal.WriteJson(report);
            else
                JsonTable.Write(terminal.Output, report);
            return ExitCode.Done;
        }
    }

    private static int[] IdsOf(QwenModel model, string text, string name, int most)
    {
        int[] ids = model.Tokenize(text);
        if (ids.Length < 2)
        {
            throw new InvalidDataException(
                $"{TextInput.NameOf(name)}: the number of tokens is {ids.Length}; at least 2 are needed, as nothing comes before the first");
        }

        int count = Math.Min(ids.Length, most);
        return count <= model.MaxContextTokens
            ? ids[..count]
            : throw new UsageException($"--tokens is {most}; this model was made for at most {model.MaxContextTokens} tokens");
    }

    private static void Check(ReferenceFile reference, string file, int[] ids, int most, QwenModel model)
    {
        if (reference.Vocabulary != model.VocabularySize)
        {
            throw new InvalidDataException(
                $"{file} has probabilities of {reference.Vocabulary} ids, {model.Path} has {model.VocabularySize}: the vocabularies differ");
        }

        if (ids.Length > reference.Ids.Length)
            throw new UsageException($"--tokens is {most}; {file} has {reference.Ids.Length}");
        int bad = ids.AsSpan().CommonPrefixLength(reference.Ids);
        if (bad < ids.Length)
            throw new InvalidDataException($"{file} was written of another text: token {bad} is {reference.Ids[bad]} there and {ids[bad]} here");
    }

    private static void Save(
        SafetensorsWriter writer, string file, QwenModel model, int[] ids, PositionLogits logits, JsonObject report, ProgressLine progress,
        CancellationToken cancellation)
    {
        var perplexity = new Perplexity();
        ReferenceFile.Declare(writer, model, ids, (string)report["kv_type"]!);
        foreach ((int position, float[] row) in Rows(model, ids, logits, progress, cancellation))
        {
            writer.Write<float>(row);
            if (position + 1 < ids.Length)
                perplexity.Add([row[ids[position + 1]]]);
        }

        writer.Complete();
        report["output"] = file;
        report["vocabulary"] = model.VocabularySize;
        report["perplexity"] = JsonOutput.Rounded(perplexity.Value, 6);
    }

    private static void Compare(
        ReferenceFile reference, string file, QwenModel model, int[] ids, PositionLogits logits, JsonObject report, bool json,
        ProgressLine progress, CancellationToken cancellation)
    {
        var divergence = new Divergence();
        float[] expected = new float[reference.Vocabulary];
        foreach ((int position, float[] row) in Rows(model, ids, logits, progress, cancellation))
        {
            reference.Read(position, expected);
            divergence.Add(expected, row, position + 1 < ids.Length ? ids[position + 1] : -1);
        }

        JsonNode? Figure(double value, int digits) => json ? JsonOutput.Rounded(value, digits + 3) : Invariant($"{Math.Round(value, digits)}");
        report["reference"] = file;
        report["reference_kv_type"] = reference.KvType;
        report["same_checkpoint"] = reference.Fingerprint == ModelFingerprint.OfCheckpoint(model.Path);
        report["positions"] = divergence.Positions;
        report["mean_kl"] = Figure(divergence.Mean, 9);
        report["median_kl"] = Figure(divergence.Median, 9);
        report["max_kl"] = Figure(divergence.Max, 9);
        report["same_top_percent"] = Figure(divergence.SameTopPercent, 3);
        report["perplexity"] = Figure(divergence.Own.Value, 6);
        report["reference_perplexity"] = Figure(divergence.Reference.Value, 6);
    }

    // One array serves all rows.
    private static IEnumerable<(int Position, float[] LogProbabilities)> Rows(
        QwenModel model, int[] ids, PositionLogits logits, ProgressLine progress, CancellationToken cancellation)
    {
        float[] row = new float[model.VocabularySize];
        int position = 0;
        foreach (float[] rows in logits.Of(ids, cancellation))
        {
            for (int first = 0; first < rows.Length; first += model.Config.VocabSize)
            {
                Divergence.ToLogProbabilities(rows.AsSpan(first, row.Length), model.IdsWithoutToken, row);
                yield return (position++, row);
            }

            progress.Show(Invariant($"{position} of {ids.Length} positions"));
        }
    }
}
