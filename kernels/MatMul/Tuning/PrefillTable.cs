using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Tiles of an architecture by shape and tokens, in sets that each come from one device or from prediction; what was measured goes first.
/// </summary>
internal sealed record PrefillTable(string Architecture, IReadOnlyList<PrefillTileSet> Sets)
{
    /// <summary>Reads a table.</summary>
    /// <exception cref="InvalidDataException">It is none; the message names it and says what is wrong.</exception>
    public static PrefillTable Parse(string json, string name)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            JsonElement root = document.RootElement;
            return new PrefillTable(
                root.GetProperty("architecture").GetString()!, [.. root.GetProperty("sets").EnumerateArray().Select(PrefillTileSet.Parse)]);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            throw new InvalidDataException($"{name} is no table of tiles: {e.Message}", e);
        }
    }

    /// <summary>
    /// The tile for m tokens: of the first set that has as many, else of the most tokens that there are; null where no set has the shape. The
    /// tokens count as many as give the set's device the same waves.
    /// </summary>
    public PrefillTile? Find(PrefillShape shape, int m, int multiprocessors)
    {
        PrefillTile? most = null;
        foreach (PrefillTileSet set in Sets.OrderByDescending(s => s.IsMeasured))
        {
            if (!set.Tiles.TryGetValue(shape, out SortedList<int, PrefillTile>? tiles))
                continue;
            double scaled = (double)m * set.Multiprocessors / multiprocessors;
            foreach ((int tokens, PrefillTile tile) in tiles)
            {
                if (tokens >= scaled)
                    return tile;
            }

            most ??= tiles.Values[^1];
        }

        return most;
    }

    /// <summary>With a set: a measured one over what was measured on the same device, a predicted one in the place of the one before.</summary>
    public PrefillTable With(PrefillTileSet added)
    {
        int at = Sets.ToList().FindIndex(s => s.Device == added.Device && s.IsMeasured == added.IsMeasured);
        if (at < 0)
            return this with { Sets = [.. Sets, added] };
        PrefillTileSet[] sets = [.. Sets];
        sets[at] = added.IsMeasured ? added.Over(sets[at]) : added;
        return this with { Sets = sets };
    }

    /// <summary>As it is committed, a shape a line.</summary>
    public string ToJson()
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{{\n  \"architecture\": \"{Architecture}\",\n  \"sets\": [");
        text.AppendJoin(',', Sets.Select(s => s.ToJson()));
        return text.Append("\n  ]\n}\n").ToString();
    }
}

/// <summary>Tiles of shapes for one device.</summary>
/// <param name="Device">Its name.</param>
/// <param name="Multiprocessors">How many it has.</param>
/// <param name="IsMeasured">On the device; else predicted.</param>
/// <param name="Command">What wrote them.</param>
/// <param name="Tiles">By shape and tokens.</param>
internal sealed record PrefillTileSet(
    string Device, int Multiprocessors, bool IsMeasured, string Command, IReadOnlyDictionary<PrefillShape, SortedList<int, PrefillTile>> Tiles)
{
    private const string Measured = "measured";
    private const string Predicted = "predicted";

    public static PrefillTileSet Parse(JsonElement set)
    {
        string? source = set.GetProperty("source").GetString();
        if (source is not (Measured or Predicted))
            throw new FormatException($"source is '{source}', neither {Measured} nor {Predicted}");
        int multiprocessors = set.GetProperty("multiprocessors").GetInt32();
        if (multiprocessors < 1)
            throw new FormatException($"multiprocessors is {multiprocessors}");
        var tiles = new Dictionary<PrefillShape, SortedList<int, PrefillTile>>();
        foreach (JsonElement entry in set.GetProperty("shapes").EnumerateArray())
        {
            PrefillShape shape = ShapeOf(entry);
            if (!tiles.TryAdd(shape, TilesOf(entry, shape)))
                throw new FormatException($"{shape} is there twice");
        }

        return new PrefillTileSet(
            set.GetProperty("device").GetString()!, multiprocessors, source == Measured, set.GetProperty("command").GetString()!, tiles);
    }

    /// <summary>Its own tiles and those that it lacks.</summary>
    public PrefillTileSet Over(PrefillTileSet older)
    {
        var tiles = new Dictionary<PrefillShape, SortedList<int, PrefillTile>>();
        foreach ((PrefillShape shape, SortedList<int, PrefillTile> byTokens) in older.Tiles.Concat(Tiles))
        {
            SortedList<int, PrefillTile> merged = tiles.TryGetValue(shape, out SortedList<int, PrefillTile>? known) ? known : tiles[shape] = [];
            foreach ((int tokens, PrefillTile tile) in byTokens)
                merged[tokens] = tile;
        }

        return this with { Tiles = tiles };
    }

    public string ToJson()
    {
        var text = new StringBuilder("\n    {\n");
        text.Append(CultureInfo.InvariantCulture, $"      \"device\": \"{JsonEncodedText.Encode(Device)}\",\n");
        text.Append(CultureInfo.InvariantCulture, $"      \"multiprocessors\": {Multiprocessors},\n");
        text.Append(CultureInfo.InvariantCulture, $"      \"source\": \"{(IsMeasured ? Measured : Predicted)}\",\n");
        text.Append(CultureInfo.InvariantCulture, $"      \"command\": \"{JsonEncodedText.Encode(Command)}\",\n      \"shapes\": [");
        text.AppendJoin(',', Tiles.Select(t => Line(t.Key, t.Value)));
        return text.Append("\n      ]\n    }").ToString();
    }

    private static string Line(PrefillShape shape, SortedList<int, PrefillTile> byTokens)
    {
        string rows = string.Join(", ", shape.Rows);
        string tiles = string.Join(", ", byTokens.Select(t => $"\"{t.Key}\": \"{PrefillTiles.NameOf(t.Value)}\""));
        string swiGlu = shape.SwiGlu ? "true" : "false";
        return string.Create(CultureInfo.InvariantCulture, $"\n        {{ \"format\": \"{PrefillFormats.NameOf(shape.Format)}\", ")
            + string.Create(CultureInfo.InvariantCulture, $"\"rows\": [{rows}], \"k\": {shape.K}, \"swiglu\": {swiGlu}, \"tiles\": {{ {tiles} }} }}");
    }

    private static PrefillShape ShapeOf(JsonElement entry)
    {
        string? format = entry.GetProperty("format").GetString();
        return new PrefillShape(
            PrefillFormats.Named(format) ?? throw new FormatException($"there is no format '{format}'"),
            entry.GetProperty("k").GetInt32(),
            [.. entry.GetProperty("rows").EnumerateArray().Select(r => r.GetInt32())],
            entry.GetProperty("swiglu").GetBoolean());
    }

    private static SortedList<int, PrefillTile> TilesOf(JsonElement entry, PrefillShape shape)
    {
        var tiles = new SortedList<int, PrefillTile>();
        foreach (JsonProperty tile in entry.GetProperty("tiles").EnumerateObject())
        {
            if (!int.TryParse(tile.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int tokens) || tokens < 1)
                throw new FormatException($"{shape}: tokens are '{tile.Name}'");
            tiles[tokens] = PrefillTiles.Named(tile.Value.GetString()) is { } known && PrefillTiles.Of(shape.Format).Contains(known)
                ? known
                : throw new FormatException($"{shape}: there is no tile '{tile.Value}'");
        }

        return tiles.Count > 0 ? tiles : throw new FormatException($"{shape} has no tiles");
    }
}

/// <summary>The committed tables of tiles, each read once, when its architecture first asks.</summary>
internal static class PrefillTables
{
    private static readonly ConcurrentDictionary<string, Lazy<PrefillTable?>> Read = new();

    /// <summary>The tile that tables give for the device; the wide one where steps are only recorded.</summary>
    public static PrefillTile TileOf(KernelLoader loader, PrefillShape shape, int m) => loader.Accelerator is CudaAccelerator device
        ? TileOf(device.Architecture, device.NumMultiprocessors, shape, m)
        : PrefillTile.Wide;

    /// <summary>Of the device's table, or predicted where that has nothing of the shape.</summary>
    public static PrefillTile TileOf(CudaArchitecture architecture, int multiprocessors, PrefillShape shape, int m) =>
        Of(PrefillRates.NameOf(architecture))?.Find(shape, m, multiprocessors)
        ?? PrefillCost.BestTile(PrefillRates.Of(architecture), multiprocessors, shape, m);

    /// <summary>Of an architecture such as <c>sm_90</c>; null where there is none.</summary>
    /// <exception cref="InvalidDataException">It is no table; the message says what is wrong with it.</exception>
    public static PrefillTable? Of(string architecture) =>
        Read.GetOrAdd(architecture, name => new Lazy<PrefillTable?>(() => Load(name))).Value;

    private static PrefillTable? Load(string architecture)
    {
        string file = $"{architecture}.json";
        using Stream? stream = typeof(PrefillTables).Assembly.GetManifestResourceStream($"tiles/{file}");
        if (stream is null)
            return null;
        using var reader = new StreamReader(stream);
        var table = PrefillTable.Parse(reader.ReadToEnd(), $"tiles/{file}");
        return table.Architecture == architecture
            ? table
            : throw new InvalidDataException($"tiles/{file} is the table of {table.Architecture}");
    }
}
