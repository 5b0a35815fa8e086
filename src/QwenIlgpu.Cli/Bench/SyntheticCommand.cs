using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using QwenIlgpu.Cli.Commands;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Bench;

/// <summary>`qwen bench --synthetic`: makes the model, measures it, or lists its plan; says what a machine cannot hold of it.</summary>
internal sealed class SyntheticCommand(SyntheticArguments arguments, ModelArguments model, CommonOptions common, Terminal terminal)
{
    private const uint Seed = 1;

    public async Task RunAsync(ParseResult parse, int? decodeTokens, bool timesNodes, int decoding, bool cudaGraphs, CancellationToken cancellation)
    {
        string name = parse.GetValue(arguments.Shape)!;
        int? layers = parse.GetValue(arguments.Layers);
        int? vocabulary = parse.GetValue(arguments.Vocabulary);
        var cut = SyntheticCut.Of(name, layers, vocabulary);
        if (parse.GetValue(arguments.Plan) && arguments.PrefillOf(parse) is { } tokens)
        {
            await WritePromptsAsync(parse, name, cut.Config, tokens).ConfigureAwait(false);
            return;
        }

        if (parse.GetValue(arguments.Plan))
        {
            await WritePlanAsync(parse, name, cut.Config).ConfigureAwait(false);
            return;
        }

        ComputeDevice device = ComputeDevice.Open(
            parse.GetValue(common.Device), measure: null, terminal.Note, ModelArguments.KernelCache, cpuThreads: parse.GetValue(common.Threads));
        HeadQuantization head = parse.GetValue(model.QuantizeHead);
        if (device.IsCpu)
        {
            long weightBytes = SyntheticModel.Measure(cut.Config, device, head).WeightBytes;
            cut = cut.IfItFits(name, layers, vocabulary, weightBytes, AvailableMemory.Bytes());
        }

        if (cut.IsForced)
            terminal.Note(cut.Text!);
        using var progress = new ProgressLine(terminal, everywhere: true);
        progress.Show("making the weights");
        await using QwenModel made = SyntheticModel.Create($"synthetic {name}", cut.Config, device, head, Seed);
        var steps = new SyntheticSteps(
            arguments.ContextsOf(parse) ?? (device.IsCuda ? [1024, 8192, 32768] : [64]),
            decodeTokens ?? (device.IsCuda ? 64 : 16), parse.GetValue(arguments.SkipPrefill), timesNodes, decoding);
        double? given = parse.GetValue(arguments.Bandwidth) * 1e9;
        if (given is null && !device.IsCpu)
            given = BandwidthProbe.MeasureBytesPerSecond(device);
        Func<double> bandwidth = () => given ?? BandwidthProbe.MeasureBytesPerSecond(device);
        var bench = new SyntheticBench(made, model.CapacityOf(parse), bandwidth, steps, cudaGraphs, progress);
        (JsonObject report, IReadOnlyList<NodeTable> tables) = bench.Run(cancellation);
        progress.Clear();
        report["bandwidth_is"] = parse.GetValue(arguments.Bandwidth) is null ? "measured" : "given";
        report["cut"] = cut.Text;
        BenchCommand.Write(
            report, [.. tables.Select(t => (Length(t.ContextTokens), $"decode, one token after {t.ContextTokens}", t))],
            parse.GetValue(common.Json), terminal);
    }

    private async Task WritePlanAsync(ParseResult parse, string name, QwenConfig config)
    {
        double bandwidth = parse.GetValue(arguments.Bandwidth) * 1e9 ?? H100.BytesPerSecond;
        HeadQuantization head = parse.GetValue(model.QuantizeHead);
        await using QwenModel unfilled = SyntheticModel.CreateUnfilled($"synthetic {name}", config, ComputeDevice.OpenCpu(recordsWarpKernels: true), head);
        OpGraph graph = StepPlan.RecordDecode(unfilled, model.KvTypeOf(parse), model.StateTypeOf(parse));
        NodePlan[] plans = [.. (arguments.ContextsOf(parse) ?? [1024]).Select(c => NodePlan.Of(graph, c, bandwidth))];
        string described = Described(name, config, head);
        if (parse.GetValue(common.Json))
            terminal.WriteJson(PlanPage.ToJson(described, plans));
        else
            terminal.Output.Write(PlanPage.Write(described, CommandLine(name, parse), plans));
    }

    private async Task WritePromptsAsync(ParseResult parse, string name, QwenConfig config, int[] tokens)
    {
        HeadQuantization head = parse.GetValue(model.QuantizeHead);
        await using QwenModel unfilled = SyntheticModel.CreateUnfilled($"synthetic {name}", config, ComputeDevice.OpenCpu(recordsWarpKernels: true), head);
        var plan = new PromptPlan(unfilled, model.KvTypeOf(parse), PrefillRates.All[^1], model.StateTypeOf(parse));
        string described = Described(name, config, head);
        if (parse.GetValue(common.Json))
            terminal.WriteJson(PromptPage.ToJson(described, plan, tokens));
        else
            terminal.Output.Write(PromptPage.Write(described, CommandLine(name, parse), plan, tokens));
    }

    private static string Described(string name, QwenConfig config, HeadQuantization head) =>
        $"{name}, {config.NumHiddenLayers} layers, {(head == HeadQuantization.Int8 ? "INT8" : "bf16")} embedding and head";

    // The command that writes this page, with the options that matter to it.
    private string CommandLine(string name, ParseResult parse)
    {
        string line = $"qwen bench --synthetic {name} --plan";
        if (parse.GetValue(arguments.Layers) is { } layers)
            line += $" --layers {Length(layers)}";
        if (parse.GetValue(arguments.Vocabulary) is { } vocabulary)
            line += $" --vocabulary {Length(vocabulary)}";
        if (parse.GetValue(model.QuantizeHead) == HeadQuantization.Int8)
            line += " --quantize-head int8";
        if (model.StateTypeOf(parse) is not DeltaStateType.F32 and var states)
            line += $" --state-type {ModelArguments.WordOf(states)}";
        if (arguments.ContextsOf(parse) is { } contexts)
            line += $" --contexts {string.Join(',', contexts)}";
        if (arguments.PrefillOf(parse) is { } tokens)
            line += $" --prefill {string.Join(',', tokens)}";
        if (parse.GetValue(arguments.Bandwidth) is { } bandwidth)
            line += string.Create(CultureInfo.InvariantCulture, $" --bandwidth {bandwidth}");
        return line;
    }

    private static string Length(int tokens) => tokens.ToString(CultureInfo.InvariantCulture);
}
