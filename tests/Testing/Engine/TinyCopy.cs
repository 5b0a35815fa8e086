using System.Text.Json.Nodes;

namespace QwenIlgpu.Testing;

/// <summary>A checkpoint of one file, the tiny one if no other is named, in a directory of its own, to be bent by a test.</summary>
internal sealed class TinyCopy : IDisposable
{
    private readonly TemporaryDirectory directory = new();
    private readonly Dictionary<string, (TensorType Type, long[] Shape, byte[] Bytes)> tensors = [];

    public TinyCopy(string? of = null)
    {
        of ??= TestData.TinyModel;
        foreach (string file in Directory.EnumerateFiles(of).Where(f => !f.EndsWith(".safetensors", StringComparison.Ordinal)))
            File.Copy(file, directory.File(System.IO.Path.GetFileName(file)));
        using SafetensorsFile weights = SafetensorsFile.Open(System.IO.Path.Combine(of, "model.safetensors"));
        foreach (TensorEntry tensor in weights.Tensors.Values)
        {
            byte[] bytes = new byte[tensor.LengthBytes];
            weights.Read(tensor, 0, bytes);
            tensors.Add(tensor.Name, (tensor.Type, [.. tensor.Shape], bytes));
        }
    }

    public string Path => directory.Path;

    public IReadOnlyCollection<string> Names => tensors.Keys;

    public byte[] BytesOf(string tensor) => tensors[tensor].Bytes;

    public long[] ShapeOf(string tensor) => tensors[tensor].Shape;

    public void Put(string tensor, TensorType type, long[] shape, byte[] bytes) => tensors[tensor] = (type, shape, bytes);

    public void Remove(string tensor) => tensors.Remove(tensor);

    /// <summary>Another number of rows; the new ones have these bytes each.</summary>
    public void AddRows(string tensor, int rows, byte[] row)
    {
        (TensorType type, long[] shape, byte[] bytes) = tensors[tensor];
        tensors[tensor] = (type, [shape[0] + rows, .. shape[1..]], [.. bytes, .. Enumerable.Repeat(row, rows).SelectMany(r => r)]);
    }

    public void Edit(string jsonFile, Action<JsonObject> change)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(directory.File(jsonFile)))!.AsObject();
        change(json);
        File.WriteAllText(directory.File(jsonFile), json.ToJsonString());
    }

    /// <summary>Writes the tensors as they are now.</summary>
    public void Save()
    {
        using var writer = new SafetensorsWriter(directory.File("model.safetensors"));
        foreach ((string name, (TensorType type, long[] shape, _)) in tensors)
            writer.Declare(name, type, shape);
        foreach ((_, _, byte[] bytes) in tensors.Values)
            writer.Write(bytes);
        writer.Complete();
    }

    public void Dispose() => directory.Dispose();
}
