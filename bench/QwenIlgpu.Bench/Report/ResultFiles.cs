using System.Text.Json;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Bench;

/// <summary>
/// What result files hold, told apart by content: lists of measured kernels, reports of `qwen bench`, reports of `qwen bench --synthetic`,
/// and what others' code does on the same GPU.
/// </summary>
internal sealed class ResultFiles
{
    private readonly List<KernelResult> kernels = [];
    private readonly List<(string Name, JsonObject Report)> benches = [];
    private readonly List<JsonObject> synthetics = [];
    private readonly List<JsonObject> peers = [];

    /// <summary>Measured kernels, ceilings among them.</summary>
    public IReadOnlyList<KernelResult> Kernels => kernels;

    /// <summary>Reports of `qwen bench` by the name of their file.</summary>
    public IReadOnlyList<(string Name, JsonObject Report)> Benches => benches;

    /// <summary>Reports of `qwen bench --synthetic`.</summary>
    public IReadOnlyList<JsonObject> Synthetics => synthetics;

    /// <summary>Results of bench/peers.py.</summary>
    public IReadOnlyList<JsonObject> Peers => peers;

    /// <summary>The fastest read of memory that anybody measured, bytes a second; null when nobody has.</summary>
    public double? ReadBytesPerSecond
    {
        get
        {
            IEnumerable<double> own = kernels.Where(k => k.Name == "ceiling_read").Select(k => k.GigabytesPerSecond);
            IEnumerable<double> others = peers.Select(p => p["results"]?["ceilings"]?["read_gb_per_s"]).OfType<JsonValue>().Select(v => v.GetValue<double>());
            double[] all = [.. own.Concat(others)];
            return all.Length == 0 ? null : all.Max() * 1e9;
        }
    }

    /// <summary>Reads files, and every .json file of directories, in order of their names.</summary>
    /// <exception cref="InvalidDataException">A file is no JSON, or no result that is known.</exception>
    public static ResultFiles Read(IEnumerable<string> paths)
    {
        var files = new ResultFiles();
        foreach (string path in paths.SelectMany(p => Directory.Exists(p) ? Directory.GetFiles(p, "*.json").Order(StringComparer.Ordinal) : (IEnumerable<string>)[p]))
            files.Add(path);
        return files;
    }

    /// <summary>Everything read, as one document.</summary>
    public JsonObject ToJson() => new()
    {
        ["kernels"] = JsonSerializer.SerializeToNode(kernels, KernelBenchmarks.JsonOptions),
        ["bench"] = new JsonObject([.. benches.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.Report.DeepClone()))]),
        ["synthetic"] = new JsonArray([.. synthetics.Select(s => s.DeepClone())]),
        ["peers"] = new JsonArray([.. peers.Select(p => p.DeepClone())]),
    };

    private void Add(string path)
    {
        JsonNode? document;
        try
        {
            document = JsonNode.Parse(File.ReadAllText(path));
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} is no JSON: {e.Message}", e);
        }

        switch (document)
        {
            case JsonArray list:
                kernels.AddRange(list.Deserialize<List<KernelResult>>(KernelBenchmarks.JsonOptions)!);
                break;
            case JsonObject report when (string?)report["kind"] == "synthetic":
                synthetics.Add(report);
                break;
            case JsonObject report when report.ContainsKey("decode_tokens_per_second"):
                benches.Add((Path.GetFileNameWithoutExtension(path), report));
                break;
            case JsonObject report when report.ContainsKey("skipped"):
                peers.Add(report);
                break;
            default:
                throw new InvalidDataException($"{path} holds no result of bench kernels, qwen bench --json, qwen bench --synthetic --json or peers.py");
        }
    }
}
