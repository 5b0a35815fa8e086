using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Bench;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen bench`: speed of one sequence, prefill and decode apart.</summary>
internal static class BenchCommand
{
    public const string Examples =
        """
        qwen bench
        qwen bench --model DIR --device cuda --prompt-tokens 2048 --decode-tokens 256 --runs 10
        qwen bench --nodes
        qwen bench --prompt-tokens 512 --decoding 4
        qwen bench --synthetic 27b --contexts 1024,8192,32768 --nodes --json
        qwen bench --synthetic 27b --plan
        qwen bench --synthetic 27b --plan --prefill 64,256,512,2048
        qwen bench --tune --synthetic 27b --device cuda --output tiles
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<int> runs = NumberOption.WithDefault(
            "--runs", "Timed passes, after one that warms up.", 5, NumberRange.Whole(5, 1000));
        Option<int> promptTokens = NumberOption.WithDefault("--prompt-tokens", "Length of the prompt; with --decode-tokens at most what the model was made for.", 128, NumberRange.Whole(1));
        Option<int> decodeTokens = NumberOption.WithDefault("--decode-tokens", "Tokens decoded after it.", 64, NumberRange.Whole(1));
        var noGraphs = new Option<bool>("--no-graphs") { Description = "On CUDA, launch decode steps kernel by kernel instead of replaying a graph." };
        var nodes = new Option<bool>("--nodes") { Description = "Also time every node of a decode step and of a prefill step." };
        Option<int> decoding = NumberOption.WithDefault(
            "--decoding", "Also time a prompt while so many other sequences decode, against each alone.", 0, NumberRange.Whole(0, 63));
        var model = new ModelArguments(KvType.Bf16);
        var synthetic = new SyntheticArguments();
        var tune = new TuneArguments();
        var command = new Command("bench", "Measure tokens per second: warm-up, then median and spread of several passes.")
        {
            runs, promptTokens, decodeTokens, nodes, noGraphs, decoding, model.Quantize, model.QuantizeHead, model.Pages, model.PrefillChunk, model.RopeScaling, model.ChatTemplate,
        };
        synthetic.AddTo(command);
        tune.AddTo(command);
        command.SetAction(async (parse, cancellation) =>
        {
            bool timesNodes = parse.GetValue(nodes);
            bool tunes = tune.Check(parse, synthetic);
            if (tunes)
                return await new TuneCommand(tune, synthetic, model, common, terminal).RunAsync(parse, cancellation).ConfigureAwait(false);
            synthetic.Check(parse, tunes, runs, promptTokens, common.Model, model.Quantize, model.RopeScaling, model.ChatTemplate);
            if (parse.GetValue(synthetic.Shape) is not null)
            {
                var parts = new SyntheticCommand(synthetic, model, common, terminal);
                int? tokens = SyntheticArguments.IsGiven(parse, decodeTokens) ? parse.GetValue(decodeTokens) : null;
                await parts.RunAsync(parse, tokens, timesNodes, parse.GetValue(decoding), !parse.GetValue(noGraphs), cancellation).ConfigureAwait(false);
                return ExitCode.Done;
            }

            int prompt = parse.GetValue(promptTokens);
            int decode = parse.GetValue(decodeTokens);
            DateTime loadStart = DateTime.Now;
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, ModelParts.Tokenizer, cancellation).ConfigureAwait(false);
            long needed = (long)prompt + decode + (timesNodes ? StepBench.SpareTokens : 0);
            if (parse.GetValue(decoding) > 0)
                needed = Math.Max(needed, AlternationBench.ContextTokens(prompt));
            if (needed > loaded.MaxContextTokens)
            {
                throw new UsageException(
                    $"--prompt-tokens and --decode-tokens are {needed} together; this model was made for at most {loaded.MaxContextTokens}");
            }

            TimeSpan load = DateTime.Now - loadStart;
            using var bench = new StepBench(loaded, model.CapacityOf(parse), prompt + decode, !parse.GetValue(noGraphs));
            int[] ids = PromptOf(loaded, prompt);
            using var progress = new ProgressLine(terminal, everywhere: true);
            progress.Show("warming up");
            BenchRun warmUp = bench.Run(ids, decode, cancellation);
            TimeSpan startToFirstToken = DateTime.Now - TimeSpan.FromSeconds(warmUp.DecodeSeconds) - ProcessStart();
            var timed = new BenchRun[parse.GetValue(runs)];
            for (int i = 0; i < timed.Length; i++)
            {
                progress.Show($"pass {i + 1} of {timed.Length}");
                timed[i] = bench.Run(ids, decode, cancellation);
            }

            JsonObject report = Report(loaded, bench, timed, prompt, decode);
            report["load_s"] = JsonOutput.Rounded(load.TotalSeconds, 3);
            report["start_to_first_token_s"] = JsonOutput.Rounded(startToFirstToken.TotalSeconds, 3);
            if (parse.GetValue(decoding) is > 0 and int others)
            {
                progress.Show($"a prompt while {others} sequences decode");
                using var alternation = new AlternationBench(loaded, model.CapacityOf(parse), ids, others, !parse.GetValue(noGraphs));
                report["alternation"] = alternation.Run(parse.GetValue(runs), cancellation);
            }

            if (!timesNodes)
            {
                progress.Clear();
                Write(report, [], parse.GetValue(common.Json), terminal);
                return ExitCode.Done;
            }

            progress.Show("node by node");
            double bandwidth = parse.GetValue(synthetic.Bandwidth) * 1e9 ?? BandwidthProbe.MeasureBytesPerSecond(loaded.Device);
            report["bandwidth_gb_per_s"] = JsonOutput.Rounded(bandwidth / 1e9, 2);
            BenchRun last = bench.Run(ids, decode, cancellation, timesNodes: true);
            (string, string, NodeTable)[] tables =
            [
                ("decode", "decode, one token", new NodeTable(last.Nodes, prompt + decode + 1, bandwidth)),
                ("prefill", "prefill, first chunk", new NodeTable(bench.TimePrefillNodes(ids), 0, null)),
            ];
            progress.Clear();
            Write(report, tables, parse.GetValue(common.Json), terminal);
            return ExitCode.Done;
        });
        return command;
    }

    /// <summary>A report, and under it the tables of nodes, each with its name in JSON and its title.</summary>
    public static void Write(JsonObject report, (string Name, string Title, NodeTable Table)[] tables, bool json, Terminal terminal)
    {
        if (!json)
        {
            JsonTable.Write(terminal.Output, report);
            foreach ((_, string title, NodeTable table) in tables)
                table.Write(terminal.Output, title);
            return;
        }

        if (tables.Length > 0)
            report["nodes"] = new JsonObject([.. tables.Select(t => KeyValuePair.Create(t.Name, (JsonNode?)t.Table.ToJson()))]);
        terminal.WriteJson(report);
    }

    // A text of the asked length, the same in every run.
    private static int[] PromptOf(QwenModel model, int tokens)
    {
        int[] text = model.Tokenize(
            "The quick brown fox jumps over the lazy dog. Once upon a time there was a small river in a large forest. ");
        return [.. Enumerable.Range(0, tokens).Select(i => text[i % text.Length])];
    }

    private static DateTime ProcessStart()
    {
        using var process = Process.GetCurrentProcess();
        return process.StartTime;
    }

    private static JsonObject Report(QwenModel model, StepBench bench, BenchRun[] runs, int promptTokens, int decodeTokens)
    {
        double bytes = runs[^1].BytesPerToken;
        double ilgpuBytes = bench.IlgpuBytesPerToken();
        return new JsonObject
        {
            ["model"] = model.Path,
            ["device"] = model.DeviceName,
            ["version"] = BuildVersion.Version,
            ["commit"] = BuildVersion.Commit,
            ["weight_bytes"] = model.WeightBytes,
            ["state_bytes"] = bench.StateBytes,
            ["prompt_tokens"] = promptTokens,
            ["prefill_chunk_tokens"] = bench.PrefillChunkTokens,
            ["decode_tokens"] = decodeTokens,
            ["runs"] = runs.Length,
            ["prefill_tokens_per_second"] = Spread([.. runs.Select(r => promptTokens / r.Prefill.TotalSeconds)]),
            ["decode_tokens_per_second"] = Spread([.. runs.Select(r => decodeTokens / r.DecodeSeconds)]),
            ["launches_per_token"] = bench.LaunchesPerToken,
            ["allocated_bytes_per_token"] = JsonOutput.Rounded(bytes, 1),
            ["of_these_by_ilgpu_itself"] = JsonOutput.Rounded(ilgpuBytes, 1),
        };
    }

    private static JsonObject Spread(double[] values)
    {
        Array.Sort(values);
        return new JsonObject
        {
            ["median"] = JsonOutput.Rounded(Median.Of(values), 2),
            ["min"] = JsonOutput.Rounded(values[0], 2),
            ["max"] = JsonOutput.Rounded(values[^1], 2),
        };
    }
}
