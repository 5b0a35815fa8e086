using System.Buffers.Binary;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Tests;

/// <summary>A copy of the trained tiny model, to be bent by one test.</summary>
internal sealed class ModelCopy : IDisposable
{
    private readonly TemporaryDirectory directory = new();

    public ModelCopy(string? of = null)
    {
        foreach (string file in Directory.GetFiles(of ?? TestData.TinyModel))
            File.Copy(file, PathOf(System.IO.Path.GetFileName(file)));
    }

    public string Path => directory.Path;

    public string PathOf(string name) => directory.File(name);

    public void Write(string name, string text) => File.WriteAllText(PathOf(name), text);

    public void Delete(string name) => File.Delete(PathOf(name));

    public void Edit(string name, Action<JsonObject> edit)
    {
        JsonObject json = JsonNode.Parse(File.ReadAllText(PathOf(name)))!.AsObject();
        edit(json);
        Write(name, json.ToJsonString());
    }

    /// <summary>Overwrites a 16-bit element of a stored tensor.</summary>
    public void Put(string tensor, int element, ushort bits)
    {
        long offset;
        using (SafetensorsFile file = SafetensorsFile.Open(PathOf("model.safetensors")))
            offset = file.Tensors[tensor].OffsetBytes + (2L * element);
        Span<byte> bytes = stackalloc byte[2];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, bits);
        using FileStream stream = new(PathOf("model.safetensors"), FileMode.Open, FileAccess.Write);
        stream.Position = offset;
        stream.Write(bytes);
    }

    public void Dispose() => directory.Dispose();
}
