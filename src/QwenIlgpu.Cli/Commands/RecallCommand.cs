using System.CommandLine;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Eval;
using static System.FormattableString;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen eval recall`: how likely a model finds a word again that stood far before.</summary>
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
            "--samples", "Words that are asked for in turn.", 4, NumberRange.Whole(1, RecallText.MostSamples));
        var text = new Option<string?>("--text")
        {
            Description = "Text file in UTF-8 to fill the distance with, over and over where it is short; - is standard input. "
                + "[default: built-in sentences]",
            HelpName = "FILE", Arity = ArgumentArity.ExactlyOne,
        };
        var model = new ModelArguments(KvType.Bf16) { TakesContext = false };
        var command = new Command("recall", "Measure how likely the model finds a word again that a text gave so many tokens before.")
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
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.Tokenizer, cancellation).ConfigureAwait(false);
            Sample[] parts = [.. Enumerable.Range(0, parse.GetValue(samples)).Select(s => Sample.Of(loaded, s))];
            int around = parts.Max(p => p.Fact.Length + p.Question.Length + p.Answer.Length);
            long longest = (long)asked.Max() + around;
            if (longest > loaded.MaxContextTokens)
            {
                throw new UsageException(
                    $"--tokens {asked.Max()} and {around} of fact, question and answer reach {longest}; "
                    + $"this model was made for at most {loaded.MaxContextTokens} tokens");
            }

            int[] filler = FillerOf(loaded, content, file, asked.Max());
            using var score = new AnswerScore(loaded, (int)longest, model.KvTypeOf(parse), model.StateTypeOf(parse));
            using var progress = new ProgressLine(terminal);
            bool json = parse.GetValue(common.Json);
            var rows = new JsonArray();
            foreach (int distance in asked)
            {
                progress.Show(Invariant($"{distance} tokens: {rows.Count + 1} of {asked.Length} distances"));
                rows.Add((JsonNode)Measure(score, parts, filler.AsSpan(0, distance).ToArray(), json, cancellation));
            }

            var report = new JsonObject
            {
                ["model"] = loaded.Path,
                ["device"] = loaded.DeviceName,
                ["kv_type"] = ModelArguments.WordOf(model.KvTypeOf(parse)),
                ["state_type"] = ModelArguments.WordOf(model.StateTypeOf(parse)),
                ["question"] = RecallText.Question,
                ["samples"] = parts.Length,
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

    private static JsonObject Measure(AnswerScore score, Sample[] samples, int[] filler, bool json, CancellationToken cancellation)
    {
        var sums = new List<double>();
        int answerTokens = 0;
        foreach (Sample sample in samples)
        {
            float[] scores = score.Of([.. sample.Fact, .. filler, .. sample.Question], sample.Answer, cancellation);
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

    /// <summary>The tokens of what is said, asked and to be answered.</summary>
    private sealed record Sample(int[] Fact, int[] Question, int[] Answer)
    {
        public static Sample Of(QwenModel model, int number) => new(
            model.Tokenize(RecallText.Fact(number)), model.Tokenize($"\n{RecallText.Question}"), model.Tokenize(RecallText.Answer(number)));
    }
}
