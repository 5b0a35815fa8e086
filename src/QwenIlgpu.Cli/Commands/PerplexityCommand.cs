using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using static System.FormattableString;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen perplexity`: how well a model foretells a text.</summary>
internal static class PerplexityCommand
{
    public const string Examples =
        """
        qwen perplexity wiki.test.raw
        qwen perplexity --model DIR --device cuda --context 2048 --stride 512 --json wiki.test.raw
        cat notes.txt | qwen perplexity
        """;

    // Windows that the engine has at hand: at least one while another runs, and as many short ones as fill a step.
    private const int FewestAtOnce = 2;
    private const int MostAtOnce = 8;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var file = new Argument<string?>("FILE")
        {
            Description = "Text file in UTF-8. Without it, and for -, standard input is read.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        Option<int> context = NumberOption.WithDefault(
            "--context", "Tokens of a window. All but the first are counted.", 512, NumberRange.Whole(2));
        Option<int?> stride = NumberOption.Optional<int>(
            "--stride", "Tokens from one window's start to the next. Below --context windows overlap, and each counts only what none before it has.",
            NumberRange.Whole(1), "--context");
        var special = new Option<bool>("--parse-special")
        {
            Description = "Control tokens written in the text, such as <|im_end|>, become their ids.",
        };
        var model = new ModelArguments(KvType.Bf16, context);
        var command = new Command("perplexity", "Measure how well the model foretells a text, window by window.") { file, stride, special };
        model.AddTo(command);
        command.SetAction((parse, cancellation) => RunAsync(parse, cancellation));
        return command;

        async Task<int> RunAsync(ParseResult parse, CancellationToken cancellation)
        {
            int tokens = parse.GetValue(context);
            int step = parse.GetValue(stride) ?? tokens;
            if (step > tokens)
                throw new UsageException($"--stride is {step}; it must be at most --context, {tokens}, or tokens are left out");
            string name = TextInput.OrPiped(parse.GetValue(file), "FILE", terminal);
            string text = await ReadAsync(name, terminal, cancellation).ConfigureAwait(false);
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.Tokenizer, cancellation).ConfigureAwait(false);
            if (!parse.GetValue(special))
                ControlTokenHint.ForText(loaded.Tokenizer, text, TextInput.NameOf(name), terminal);
            int[] ids = loaded.Tokenize(text, parse.GetValue(special));
            IReadOnlyList<TextWindow> windows = TextWindow.Of(ids.Length, tokens, step);
            if (windows.Count == 0)
                throw TooShort(name, ids.Length);
            int atOnce = WindowsAtOnce(tokens, PrefillBudget.MostTokens(loaded.Device));
            await using var engine = new Engine(loaded, new EngineOptions
            {
                MaxSequences = atOnce,
                ContextTokens = tokens,
                CacheTokens = checked(atOnce * EngineCapacity.WholePages(tokens)),
                KvType = model.KvTypeOf(parse),
                PrefixCache = PrefixCacheMode.Off,
                DeltaStateType = model.StateTypeOf(parse),
            });
            long start = Stopwatch.GetTimestamp();
            Perplexity perplexity = await MeasureAsync(engine, ids, windows, atOnce, terminal, cancellation).ConfigureAwait(false);
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            var report = new JsonObject
            {
                ["model"] = loaded.Path,
                ["device"] = loaded.DeviceName,
                ["tokens"] = ids.Length,
                ["context"] = tokens,
                ["stride"] = step,
                ["windows"] = windows.Count,
                ["windows_at_once"] = atOnce,
                ["counted_tokens"] = perplexity.Tokens,
                ["tokens_per_second"] = JsonOutput.Rounded(windows.Sum(w => w.Length) / seconds, 2),
            };
            Write(report, perplexity, parse.GetValue(common.Json), terminal);
            return ExitCode.Done;
        }
    }

    private static async Task<string> ReadAsync(string file, Terminal terminal, CancellationToken cancellation)
    {
        string text = await TextInput.ReadAsync(file, "perplexity", terminal, cancellation).ConfigureAwait(false);
        return text.Length > 0 ? text : throw TooShort(file, 0);
    }

    private static InvalidDataException TooShort(string file, int tokens) => new(
        $"{TextInput.NameOf(file)}: the number of tokens is {tokens}; perplexity takes at least 2, as nothing comes before the first");

    /// <summary>Windows of a context that share the engine, whose steps take so many tokens: what fills a step, within limits.</summary>
    public static int WindowsAtOnce(int context, int stepTokens) => Math.Clamp(stepTokens / context, FewestAtOnce, MostAtOnce);

    private static async Task<Perplexity> MeasureAsync(
        Engine engine, int[] ids, IReadOnlyList<TextWindow> windows, int atOnce, Terminal terminal, CancellationToken cancellation)
    {
        var perplexity = new Perplexity();
        var running = new Queue<Task<float[]>>();
        using var progress = new ProgressLine(terminal);
        int begun = 0;
        for (int i = 0; i < windows.Count; i++)
        {
            for (; begun < Math.Min(i + atOnce, windows.Count); begun++)
                running.Enqueue(engine.ScoreAsync(ids.AsMemory(windows[begun].Start, windows[begun].Length), cancellation));
            float[] scores = await running.Dequeue().ConfigureAwait(false);
            perplexity.Add(Counted(windows[i], scores, ids));
            terminal.ThrowIfReaderHasLeft();
            progress.Show(Invariant($"{i + 1} of {windows.Count} windows: perplexity {perplexity.Value:F4}"));
        }

        return perplexity;
    }

    private static ReadOnlySpan<float> Counted(TextWindow window, float[] scores, int[] ids)
    {
        int bad = Array.FindIndex(scores, scores.Length - window.Counted, s => !float.IsFinite(s));
        if (bad < 0)
            return scores.AsSpan(scores.Length - window.Counted);
        int token = window.Start + bad + 1;
        throw new InvalidDataException(Invariant($"token {token} of the text, id {ids[token]}, has the log-probability {scores[bad]}; there is no perplexity"));
    }

    private static void Write(JsonObject report, Perplexity perplexity, bool json, Terminal terminal)
    {
        if (json)
        {
            report["negative_log_likelihood"] = JsonOutput.Rounded(perplexity.NegativeLogLikelihood, 6);
            report["perplexity"] = JsonOutput.Rounded(perplexity.Value, 6);
            report["standard_error"] = JsonOutput.Rounded(perplexity.StandardError, 6);
            terminal.WriteJson(report);
            return;
        }

        string error = double.IsNaN(perplexity.StandardError) ? "" : Invariant($" ± {perplexity.StandardError:F4}");
        report["negative_log_likelihood"] = Invariant($"{perplexity.NegativeLogLikelihood:F4}");
        report["perplexity"] = Invariant($"{perplexity.Value:F4}") + error;
        JsonTable.Write(terminal.Output, report);
    }
}
