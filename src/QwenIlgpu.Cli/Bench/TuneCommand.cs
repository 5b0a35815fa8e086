using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Bench;

/// <summary>`qwen bench --tune`: which tile each prefill matmul takes, measured on a GPU or predicted, written to its architecture's table.</summary>
internal sealed class TuneCommand(
    TuneArguments arguments, SyntheticArguments synthetic, ModelArguments model, CommonOptions common, Terminal terminal)
{
    /// <summary>What writes the predicted tables.</summary>
    public const string PlanCommand = "qwen bench --tune --plan";

    private const int Runs = 5;
    private const int CutLayers = 4;
    private const uint Seed = 1;

    public async Task<int> RunAsync(ParseResult parse, CancellationToken cancellation)
    {
        string folder = parse.GetValue(arguments.Output)!;
        if (!parse.GetValue(synthetic.Plan))
        {
            await MeasureAsync(parse, folder, cancellation).ConfigureAwait(false);
            return ExitCode.Done;
        }

        foreach (PrefillRates rates in PrefillRates.All)
            PathIn(folder, rates.Architecture);
        IReadOnlyList<PrefillShape> shapes = await PrefillTuner.SyntheticShapesAsync().ConfigureAwait(false);
        string[] paths = [.. PrefillRates.All.Select(r => Write(folder, r.Architecture, PrefillTuner.Predict(r, shapes, PlanCommand)))];
        if (parse.GetValue(common.Json))
            terminal.WriteJson(new JsonObject { ["kind"] = "tiles", ["source"] = "predicted", ["files"] = new JsonArray([.. paths.Select(p => (JsonNode)p)]) });
        else
            terminal.Output.WriteLine(string.Join('\n', paths.Select(p => $"predicted: {p}")));
        return ExitCode.Done;
    }

    /// <summary>Adds a set to the table in a folder, or to the built-in one where the folder has none; the file's path.</summary>
    public static string Write(string folder, string architecture, PrefillTileSet set)
    {
        string path = PathIn(folder, architecture);
        PrefillTable? table = FileKinds.Of(path) == FileKind.Regular ? PrefillTable.Parse(File.ReadAllText(path), path) : PrefillTables.Of(architecture);
        OutputFile.WriteText(path, (table ?? new PrefillTable(architecture, [])).With(set).ToJson());
        return path;
    }

    // Throws where the folder cannot be made or the table in it cannot be written.
    private static string PathIn(string folder, string architecture)
    {
        if (FileKinds.Of(folder) is not (FileKind.Directory or FileKind.Missing))
            throw new IOException($"--output is {folder}, which is no directory; it must name one, or a new one");
        Directory.CreateDirectory(folder);
        string path = Path.Combine(folder, $"{architecture}.json");
        if (FileKinds.Of(path) is not (FileKind.Regular or FileKind.Missing))
            throw new IOException($"{path} is no file; move it away");
        OutputFile.Create(path).Dispose();
        return path;
    }

    private async Task MeasureAsync(ParseResult parse, string folder, CancellationToken cancellation)
    {
        string name = parse.GetValue(synthetic.Shape)!;
        ComputeDevice device = ComputeDevice.Open(parse.GetValue(common.Device), measure: null, terminal.Note, ModelArguments.KernelCache);
        if (device.Accelerator is not CudaAccelerator cuda)
        {
            string given = device.Accelerator.Name;
            device.Dispose();
            throw new NotSupportedException($"--tune measures on a CUDA device and {given} is none; `{PlanCommand}` predicts tables anywhere");
        }

        string architecture = PrefillRates.NameOf(cuda.Architecture);
        try
        {
            PathIn(folder, architecture);
        }
        catch
        {
            device.Dispose();
            throw;
        }

        QwenConfig config = SyntheticCut.Of(name, parse.GetValue(synthetic.Layers) ?? CutLayers, parse.GetValue(synthetic.Vocabulary)).Config;
        await using QwenModel made = SyntheticModel.Create($"synthetic {name}", config, device, parse.GetValue(model.QuantizeHead), Seed);
        using var progress = new ProgressLine(terminal, everywhere: true);
        int[] tokens = synthetic.PrefillOf(parse) ?? [.. PrefillTuner.TableTokens];
        IReadOnlyList<TileTime> times = PrefillTuner.Measure(made, model.KvTypeOf(parse), tokens, Runs, cancellation, progress.Show);
        progress.Clear();
        PrefillTileSet set = PrefillTuner.Fastest(times, cuda.Name, cuda.NumMultiprocessors, CommandLine(parse, name, tokens));
        string path = Write(folder, architecture, set);
        if (parse.GetValue(common.Json))
            terminal.WriteJson(ToJson(made, set, times, path));
        else
            WriteTimes(times, set, path);
    }

    private string CommandLine(ParseResult parse, string name, int[] tokens)
    {
        string line = $"qwen bench --tune --synthetic {name}";
        if (parse.GetValue(model.QuantizeHead) == HeadQuantization.Int8)
            line += " --quantize-head int8";
        if (parse.GetValue(synthetic.Layers) is { } layers)
            line += string.Create(CultureInfo.InvariantCulture, $" --layers {layers}");
        if (parse.GetValue(synthetic.Vocabulary) is { } vocabulary)
            line += string.Create(CultureInfo.InvariantCulture, $" --vocabulary {vocabulary}");
        return synthetic.PrefillOf(parse) is null ? line : $"{line} --prefill {string.Join(',', tokens)}";
    }

    private void WriteTimes(IReadOnlyList<TileTime> times, PrefillTileSet set, string path)
    {
        terminal.Output.WriteLine($"{"weights",-48} {"tokens",7}{string.Join("", PrefillTiles.All.Select(t => $" {PrefillTiles.NameOf(t) + " µs",12}"))} fastest");
        foreach (IGrouping<(PrefillShape Shape, int Tokens), TileTime> row in times.GroupBy(t => (t.Shape, t.Tokens)))
        {
            string[] cells = [.. PrefillTiles.All.Select(t => row.FirstOrDefault(x => x.Tile == t)?.Microseconds.ToString("F1", CultureInfo.InvariantCulture) ?? "")];
            terminal.Output.WriteLine(
                $"{row.Key.Shape,-48} {row.Key.Tokens,7}{string.Join("", cells.Select(c => $" {c,12}"))} {PrefillTiles.NameOf(set.Tiles[row.Key.Shape][row.Key.Tokens])}");
        }

        terminal.Output.WriteLine($"measured: {path}");
    }

    private static JsonObject ToJson(QwenModel model, PrefillTileSet set, IReadOnlyList<TileTime> times, string path) => new()
    {
        ["kind"] = "tiles",
        ["source"] = "measured",
        ["model"] = model.Path,
        ["device"] = model.DeviceName,
        ["version"] = BuildVersion.Version,
        ["commit"] = BuildVersion.Commit,
        ["file"] = path,
        ["times"] = new JsonArray([.. times.Select(t => new JsonObject
        {
            ["weights"] = t.Shape.ToString(),
            ["tokens"] = t.Tokens,
            ["tile"] = PrefillTiles.NameOf(t.Tile),
            ["microseconds"] = JsonOutput.Rounded(t.Microseconds, 2),
            ["fastest"] = set.Tiles[t.Shape][t.Tokens] == t.Tile,
        })]),
    };
}
