using System.Collections.Concurrent;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>The committed tables of tiles, each read once, when its architecture first asks.</summary>
internal static class PrefillTables
{
    private static readonly ConcurrentDictionary<string, Lazy<PrefillTable?>> Read = new();

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
