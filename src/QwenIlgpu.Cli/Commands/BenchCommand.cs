using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen bench`: speed of one sequence, prefill and decode apart.</summary>
internal static class BenchCommand
{
    public const string Examples =
        """
        qwen bench
        qwen bench --model DIR --device cuda --prompt-tokens 2048 --decode-tokens 256 --runs 10
        qwen bench --nodes
        """;

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        Option<int> runs = NumberOption.WithDefault(
            "--runs", "Timed passes, after one that warms up.", 5, v => v is >= 5 and <= 1000, "from 5 to 1000");
        Option<int> promptTokens = NumberOption.WithDefault("--prompt-tokens", "Length of the prompt.", 128, v => v >= 1, "at least 1");
        Option<int> decodeTokens = NumberOption.WithDefault("--decode-tokens", "Tokens decoded after it.", 64, v => v >= 1, "at least 1");
        var noGraphs = new Option<bool>("--no-graphs") { Description = "On CUDA, launch decode steps kernel by kernel instead of replaying a graph." };
        var nodes = new Option<bool>("--nodes") { Description = "Also time every node of a decode step and of a prefill step." };
        var model = new ModelArguments(PageType.Bf16);
        var command = new Command("bench", "Measure tokens per second: warm-up, then median and spread of several passes.")
        {
            runs, promptTokens, decodeTokens, nodes, noGraphs, model.Quantize, model.Pages, model.ChatTemplate,
        };
        command.SetAction(async (parse, cancellation) =>
        {
            int prompt = parse.GetValue(promptTokens);
            int decode = parse.GetValue(decodeTokens);
            DateTime loadStart = DateTime.Now;
            await using QwenModel loaded = await model.LoadAsync(parse, common, terminal, cancellation).ConfigureAwait(false);
            if ((long)prompt + decode > loaded.MaxContextTokens)
            {
                throw new UsageException(
                    $"--prompt-tokens and --decode-tokens are {(long)prompt + decode} together; "
                    + $"this model was made for at most {loaded.MaxContextTokens}");
            }

            TimeSpan load = DateTime.Now - loadStart;
            using var bench = new StepBench(loaded, model.PageTypeOf(parse), prompt, decode, !parse.GetValue(noGraphs));
            BenchRun warmUp = bench.Run(cancellation);
            TimeSpan startToFirstToken = DateTime.Now - warmUp.Decode - ProcessStart();
            BenchRun[] timed = [.. Enumerable.Range(0, parse.GetValue(runs)).Select(_ => bench.Run(cancellation))];

            JsonObject report = Report(loaded, bench, timed, prompt, decode);
            report["load_s"] = JsonOutput.Rounded(load.TotalSeconds, 3);
            report["start_to_first_token_s"] = JsonOutput.Rounded(startToFirstToken.TotalSeconds, 3);
            WriteReport(report, bench, parse.GetValue(common.Json), parse.GetValue(nodes), terminal);
            return ExitCode.Done;
        });
        return command;
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
            ["decode_tokens"] = decodeTokens,
            ["runs"] = runs.Length,
            ["prefill_tokens_per_second"] = Spread([.. runs.Select(r => promptTokens / r.Prefill.TotalSeconds)]),
            ["decode_tokens_per_second"] = Spread([.. runs.Select(r => decodeTokens / r.Decode.TotalSeconds)]),
            ["launches_per_token"] = bench.LaunchesPerToken,
            ["allocated_bytes_per_token"] = JsonOutput.Rounded(bytes, 1),
            ["of_these_by_ilgpu_itself"] = JsonOutput.Rounded(ilgpuBytes, 1),
        };
    }

    private static JsonObject Spread(double[] values)
    {
        Array.Sort(values);
        int middle = values.Length / 2;
        double median = values.Length % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
        return new JsonObject
        {
            ["median"] = JsonOutput.Rounded(median, 2),
            ["min"] = JsonOutput.Rounded(values[0], 2),
            ["max"] = JsonOutput.Rounded(values[^1], 2),
        };
    }

    private static void WriteReport(JsonObject report, StepBench bench, bool json, bool nodes, Terminal terminal)
    {
        IReadOnlyList<NodeTime> decode = nodes ? bench.TimeDecodeNodes() : [];
        IReadOnlyList<NodeTime> prefill = nodes ? bench.TimePrefillNodes() : [];
        if (json)
        {
            if (nodes)
                report["nodes"] = new JsonObject { ["decode"] = NodeTable.ToJson(decode), ["prefill"] = NodeTable.ToJson(prefill) };
            terminal.WriteJson(report);
            return;
        }

        JsonTable.Write(terminal.Output, report);
        if (!nodes)
            return;
        NodeTable.Write(terminal.Output, "decode, one token", decode);
        NodeTable.Write(terminal.Output, "prefill, first chunk", prefill);
    }
}
