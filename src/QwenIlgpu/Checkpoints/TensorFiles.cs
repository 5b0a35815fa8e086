namespace QwenIlgpu;

/// <summary>The safetensors files of a checkpoint directory, one or many, as one set of tensors.</summary>
internal sealed class TensorFiles : IDisposable
{
    private const string SingleFile = "model.safetensors";
    private const string IndexFile = "model.safetensors.index.json";

    private readonly SafetensorsFile[] shards;

    private TensorFiles(SafetensorsFile[] shards, IReadOnlyDictionary<string, TensorEntry> tensors)
    {
        this.shards = shards;
        Tensors = tensors;
    }

    /// <summary>Every tensor by stored name.</summary>
    public IReadOnlyDictionary<string, TensorEntry> Tensors { get; }

    /// <summary>Opens <c>model.safetensors</c>, or the files that <c>model.safetensors.index.json</c> names.</summary>
    public static TensorFiles Open(string directory)
    {
        string single = Path.Combine(directory, SingleFile);
        if (File.Exists(single))
        {
            SafetensorsFile file = SafetensorsFile.Open(single);
            return new TensorFiles([file], file.Tensors);
        }

        string index = Path.Combine(directory, IndexFile);
        if (!File.Exists(index))
            throw new FileNotFoundException($"{directory}: holds neither {SingleFile} nor {IndexFile}", single);
        return OpenShards(directory, index, ShardIndex.Load(index));
    }

    /// <summary>The file that holds a tensor.</summary>
    public string PathOf(TensorEntry tensor) => shards[tensor.Shard].Path;

    /// <summary>Fills <paramref name="destination"/> with the tensor's bytes from <paramref name="offsetBytes"/> on.</summary>
    public void Read(TensorEntry tensor, long offsetBytes, Span<byte> destination) =>
        shards[tensor.Shard].Read(tensor, offsetBytes, destination);

    /// <summary>Closes every file.</summary>
    public void Dispose() => Close(shards);

    private static TensorFiles OpenShards(string directory, string indexFile, ShardIndex index)
    {
        List<SafetensorsFile> shards = new(index.Shards.Count);
        try
        {
            foreach (string name in index.Shards)
            {
                string path = Path.Combine(directory, name);
                if (!File.Exists(path))
                    throw new InvalidDataException($"{indexFile}: names the file {name}, which is not in {directory}");
                shards.Add(SafetensorsFile.Open(path, shards.Count));
            }

            Dictionary<string, TensorEntry> tensors = new(index.ShardOf.Count);
            foreach ((string name, int shard) in index.ShardOf)
            {
                if (!shards[shard].Tensors.TryGetValue(name, out TensorEntry? tensor))
                {
                    throw new InvalidDataException(
                        $"{indexFile}: places tensor {JsonText.Shown(name)} in {index.Shards[shard]}, which does not hold it");
                }

                tensors.Add(name, tensor);
            }

            return new TensorFiles([.. shards], tensors);
        }
        catch
        {
            Close(shards);
            throw;
        }
    }

    private static void Close(IEnumerable<SafetensorsFile> files)
    {
        foreach (SafetensorsFile file in files)
            file.Dispose();
    }
}
