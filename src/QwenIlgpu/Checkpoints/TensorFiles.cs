using System.Globalization;
using System.Text.RegularExpressions;

namespace QwenIlgpu;

/// <summary>
/// The safetensors files of a checkpoint directory, one or many, as one set of tensors. Of those that the text model does not use,
/// whatever is not there or cannot be read is left out with a notice.
/// </summary>
internal sealed partial class TensorFiles : IDisposable
{
    /// <summary>The file of a checkpoint of one file.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>What lists the files of a checkpoint of several.</summary>
    public const string IndexFile = "model.safetensors.index.json";

    private readonly SafetensorsFile?[] shards;

    private TensorFiles(SafetensorsFile?[] shards, TensorNames names, IReadOnlyDictionary<string, TensorEntry> tensors)
    {
        this.shards = shards;
        Names = names;
        Tensors = tensors;
    }

    /// <summary>The naming that the tensors follow.</summary>
    public TensorNames Names { get; }

    /// <summary>Every tensor by stored name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    /// <summary>
    /// Opens the files that <c>model.safetensors.index.json</c> names; where there is no index <c>model.safetensors</c>, else all of
    /// <c>model-00001-of-0000N.safetensors</c>.
    /// </summary>
    public static TensorFiles Open(string directory, ICollection<string> notices)
    {
        string single = Path.Combine(directory, SingleFile);
        string index = Path.Combine(directory, IndexFile);
        if (CheckpointFile.Exists(index))
            return OpenShards(directory, index, CheckpointFile.Exists(single), notices);
        if (CheckpointFile.Exists(single))
            return OpenParts(directory, [SingleFile]);
        if (WeightFormats.GgufIn(directory) is { } gguf)
            throw WeightFormats.GgufRefused(gguf);

        Match[] parts = Parts(directory);
        if (parts.Length == 0)
            throw new FileNotFoundException($"{directory}: holds neither {SingleFile} nor {IndexFile}", single);
        if (!AreWhole(parts))
        {
            throw new InvalidDataException(
                $"{directory}: holds no {IndexFile}, and {parts[0].Value} is one of {parts.Length} files of weights where "
                + $"{CountOf(parts[0])} belong together");
        }

        return OpenParts(directory, [.. parts.Select(p => p.Value)]);
    }

    /// <summary>Whether a directory holds weights in files that name each other by numbers, all of them.</summary>
    public static bool HasUnlistedParts(string directory) => Parts(directory) is { Length: > 0 } parts && AreWhole(parts);

    /// <summary>The file that holds a tensor.</summary>
    public string PathOf(TensorEntry tensor) => shards[tensor.Shard]!.Path;

    /// <summary>Fills <paramref name="destination"/> with the tensor's bytes from <paramref name="offsetBytes"/> on.</summary>
    public void Read(TensorEntry tensor, long offsetBytes, Span<byte> destination) =>
        shards[tensor.Shard]!.Read(tensor, offsetBytes, destination);

    /// <summary>Closes every file.</summary>
    public void Dispose() => Close(shards);

    // In the order of their numbers, which have the same number of digits.
    private static Match[] Parts(string directory) =>
        [.. Directory.EnumerateFiles(directory).Select(f => PartName().Match(Path.GetFileName(f))).Where(m => m.Success).OrderBy(m => m.Value, StringComparer.Ordinal)];

    private static bool AreWhole(Match[] parts) =>
        parts.Length == CountOf(parts[0]) && parts.Select((p, i) => (Number(p, "number"), CountOf(p)) == (i + 1, parts.Length)).All(fits => fits);

    private static int CountOf(Match part) => Number(part, "count");

    private static int Number(Match part, string group) => int.Parse(part.Groups[group].ValueSpan, CultureInfo.InvariantCulture);

    private static TensorFiles OpenParts(string directory, IReadOnlyList<string> parts)
    {
        var shards = new SafetensorsFile?[parts.Count];
        Dictionary<string, TensorEntry> tensors = [];
        try
        {
            for (int i = 0; i < shards.Length; i++)
            {
                shards[i] = SafetensorsFile.Open(Path.Combine(directory, parts[i]), i);
                foreach ((string name, TensorEntry tensor) in shards[i]!.Tensors)
                {
                    if (!tensors.TryAdd(name, tensor))
                        throw new InvalidDataException($"{directory}: tensor {JsonText.Shown(name)} is in {parts[tensors[name].Shard]} and in {parts[i]}");
                }
            }

            return new TensorFiles(shards, TensorNames.Detect(directory, tensors), tensors);
        }
        catch
        {
            Close(shards);
            throw;
        }
    }

    private static TensorFiles OpenShards(string directory, string indexFile, bool besideSingle, ICollection<string> notices)
    {
        ShardIndex index = ShardIndex.Load(indexFile);
        TensorNames names = TensorNames.Detect(directory, index.ShardOf);
        bool[] holdsText = new bool[index.Shards.Count];
        foreach ((string name, int shard) in index.ShardOf)
            holdsText[shard] |= names.IsText(name);

        var shards = new SafetensorsFile?[index.Shards.Count];
        try
        {
            for (int i = 0; i < shards.Length; i++)
                shards[i] = OpenShard(directory, indexFile, index.Shards[i], i, holdsText[i], besideSingle, notices);
            Dictionary<string, TensorEntry> tensors = Gather(indexFile, index, shards, names, notices);
            if (besideSingle && !index.Shards.Contains(SingleFile))
                notices.Add($"{directory}: holds {SingleFile} beside the files that {IndexFile} names; the index counts, {SingleFile} is not read");
            return new TensorFiles(shards, names, tensors);
        }
        catch
        {
            Close(shards);
            throw;
        }
    }

    private static SafetensorsFile? OpenShard(
        string directory, string indexFile, string name, int number, bool holdsText, bool besideSingle, ICollection<string> notices)
    {
        string path = Path.Combine(directory, name);
        if (!CheckpointFile.Exists(path))
        {
            if (!holdsText)
                return null;
            string choice = besideSingle ? $"; {SingleFile} lies there too: remove {Path.GetFileName(indexFile)} if that is the whole model" : "";
            throw new InvalidDataException($"{indexFile}: names the file {name}, which is not in {directory}{choice}");
        }

        try
        {
            return SafetensorsFile.Open(path, number);
        }
        catch (Exception error) when (!holdsText && CheckpointFile.IsFault(error))
        {
            notices.Add($"{error.Message}; it holds no tensor of the text model, and is left out");
            return null;
        }
    }

    private static Dictionary<string, TensorEntry> Gather(
        string indexFile, ShardIndex index, SafetensorsFile?[] shards, TensorNames names, ICollection<string> notices)
    {
        Dictionary<string, TensorEntry> tensors = new(index.ShardOf.Count);
        int absent = 0;
        string? example = null;
        foreach ((string name, int shard) in index.ShardOf)
        {
            if (shards[shard]?.Tensors.TryGetValue(name, out TensorEntry? tensor) == true)
            {
                tensors.Add(name, tensor);
                continue;
            }

            string fault = $"places tensor {JsonText.Shown(name)} in {index.Shards[shard]}, which ";
            if (names.IsText(name))
                throw new InvalidDataException($"{indexFile}: {fault}does not hold it");
            absent++;
            example ??= fault + (shards[shard] is null ? "cannot be read" : "does not hold it");
        }

        if (absent > 0)
            notices.Add($"{indexFile}: {example}; {absent} such tensors, none of the text model, are left out");
        return tensors;
    }

    private static void Close(IEnumerable<SafetensorsFile?> files)
    {
        foreach (SafetensorsFile? file in files)
            file?.Dispose();
    }

    [GeneratedRegex(@"^model-(?<number>\d{1,6})-of-(?<count>\d{1,6})\.safetensors\z", RegexOptions.ExplicitCapture)]
    private static partial Regex PartName();
}
