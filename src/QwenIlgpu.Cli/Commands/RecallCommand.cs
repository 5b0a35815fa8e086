using System.CommandLine;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Eval;
using static System.FormattableString;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen eval recall`: how likely a model finds a code again that stood far before.</summary>
internal static class RecallCommand
{
    public const string Examples =
        """
        qwen eval recall --tokens 1000,4000 --kv-type int4
        qwen eval recall --tokens 8000,32000,128000 --text book.txt --json
        """;

    private const int FillerSeed = 1;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<int[]?> distances = NumberOption.List(
            "--tokens", "Tokens between the fact and the question.", int.MaxValue, "1000");
        Option<int> samples = NumberOption.WithDefault(
            "--samples", "Codes that are asked for in turn.", 4, NumberRange.Whole(1, RecallText.MostSamples));
        var text = new Option<string?>("--text")
        {
            Description = "Text file in UTF-8 to fill the distance with, over and over where it is short; - is standard input. "
                + "[default: built-in sentences]",
            HelpName = "FILE", Arity = ArgumentArity.ExactlyOne,
        };
        var model = new ModelArguments(KvType.Bf16) { TakesContext = false };
        var command = new Command("recall", "Measure how likely the model finds a code again that a text gave so many tokens before.")
        {
            distances, samples, text,
        };
        model.AddTo(command);
        command.SetAction((parse, cancellation) => RunAsync(parse, cancellation));
        return command;

        async Task<int> RunAsync(ParseResult parse, CancellationToken cancellation)
        {
            int[] asked = parse.GetValue(distances) ?? [1000];
            string? file = parse.GetValue(text);
            string? content = file is null ? null : await TextInput.ReadAsync(file, "--text", terminal, cancellation).ConfigureAwait(false);
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.Tokenizer | ModelParts.ChatTemplate, cancellation).ConfigureAwait(false);
            int count = parse.GetValue(samples);
            int around = Enumerable.Range(0, count).Max(s => PromptOf(loaded, s, "").Length + AnswerOf(loaded, s).Length);
            long longest = (long)asked.Max() + around;
            if (longest > loaded.MaxContextTokens)
            {
                throw new UsageException(
                    $"--tokens {asked.Max()} and {around} of fact, question and answer reach {longest}; "
                    + $"this model was made for at most {loaded.MaxContextTokens} tokens");
            }

            int[] filler = FillerOf(loaded, content, file, asked.Max());

            // Cut text may become a token or two more when it stands between others.
            int most = (int)Math.Min(longest + 8, loaded.MaxContextTokens);
            using var score = new AnswerScore(loaded, most, model.KvTypeOf(parse), model.StateTypeOf(parse));
            using var progress = new ProgressLine(terminal);
            bool json = parse.GetValue(common.Json);
            var rows = new JsonArray();
            foreach (int distance in asked)
            {
                progress.Show(Invariant($"{distance} tokens: {rows.Count + 1} of {asked.Length} distances"));
                rows.Add((JsonNode)Measure(loaded, score, count, filler.AsSpan(0, distance), json, cancellation));
            }

            var report = new JsonObject
            {
                ["model"] = loaded.Path,
                ["device"] = loaded.DeviceName,
                ["kv_type"] = ModelArguments.WordOf(model.KvTypeOf(parse)),
                ["state_type"] = ModelArguments.WordOf(model.StateTypeOf(parse)),
                ["samples"] = count,
                ["distances"] = rows,
            };
            progress.Clear();
            if (json)
                terminal.WriteJson(report);
            else
                JsonTable.Write(terminal.Output, report);
            return ExitCode.Done;
        }
    }

    private static JsonObject Measure(
        QwenModel model, AnswerScore score, int samples, ReadOnlySpan<int> filler, bool json, CancellationToken cancellation)
    {
        string text = model.Detokenize(filler);
        var sums = new List<double>();
        int answerTokens = 0;
        for (int sample = 0; sample < samples; sample++)
        {
            float[] scores = score.Of(PromptOf(model, sample, text), AnswerOf(model, sample), cancellation);
            sums.Add(scores.Sum(s => (double)s));
            answerTokens += scores.Length;
        }

        // Natural logarithms: of a whole answer, of the least likely one, and of a token of all.
        JsonNode? Figure(double value) => json ? JsonOutput.Rounded(value, 6) : Invariant($"{value:F4}");
        return new JsonObject
        {
            ["tokens"] = filler.Length,
            ["answer_tokens"] = answerTokens,
            ["log_probability"] = Figure(sums.Average()),
            ["lowest_log_probability"] = Figure(sums.Min()),
            ["log_probability_per_token"] = Figure(sums.Sum() / answerTokens),
        };
    }

    private static int[] FillerOf(QwenModel model, string? text, string? file, int tokens)
    {
        int[] ids = model.Tokenize(text ?? RecallText.Filler(tokens, FillerSeed));
        if (ids.Length == 0)
            throw new InvalidDataException($"{TextInput.NameOf(file!)}: there is no text to fill the distance with");
        return [.. Enumerable.Range(0, tokens).Select(i => ids[i % ids.Length])];
    }

    /// <summary>A conversation by the model's chat template, thoughts left out, and the beginning of its answer.</summary>
    internal static int[] PromptOf(QwenModel model, int sample, string filler)
    {
        PromptMessage asked = PromptMessage.User(RecallText.Fact(sample) + filler + RecallText.Question(sample));
        return [.. model.IdsOf([asked], new ChatTemplateOptions { EnableThinking = false }), .. model.Tokenize(RecallText.AnswerStart(sample))];
    }

    /// <summary>What it is to find.</summary>
    internal static int[] AnswerOf(QwenModel model, int sample) => model.Tokenize(RecallText.Answer(sample));
}
