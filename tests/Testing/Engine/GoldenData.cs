using System.Runtime.InteropServices;
using System.Text.Json;

namespace QwenIlgpu.Testing;

/// <summary>
/// Outputs of an independent float64 implementation for one checkpoint: per prompt its ids and 64 greedy ids, and tensors named
/// <c>N.logits</c>, <c>N.last_logits</c>, <c>N.top20_ids</c> … by the prompt's number.
/// </summary>
internal sealed class GoldenData : IDisposable
{
    private readonly SafetensorsFile file;

    private GoldenData(string name)
    {
        file = SafetensorsFile.Open(Path.Combine(TestData.Golden, name + ".safetensors"));
        using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestData.Golden, name + ".json")));
        Prompts =
        [
            .. json.RootElement.EnumerateArray().Select(p => new GoldenPrompt(
                p.GetProperty("text").GetString()!, Ints(p.GetProperty("ids")), Ints(p.GetProperty("greedy")), p.GetProperty("greedy_text").GetString()!)),
        ];
    }

    public IReadOnlyList<GoldenPrompt> Prompts { get; }

    public static GoldenData Open(string name) => new(name);

    public bool Has(string name) => file.Tensors.ContainsKey(name);

    public float[] Floats(string name) => Read<float>(name, TensorType.F32);

    public int[] Ints(string name) => Read<int>(name, TensorType.I32);

    public void Dispose() => file.Dispose();

    private T[] Read<T>(string name, TensorType type)
        where T : unmanaged
    {
        TensorEntry tensor = file.Tensors[name];
        Assert.That(tensor.Type, Is.EqualTo(type), name);
        var values = new T[tensor.ElementCount];
        file.Read(tensor, 0, MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private static int[] Ints(JsonElement array) => [.. array.EnumerateArray().Select(e => e.GetInt32())];
}

/// <summary>One golden prompt with its greedy continuation.</summary>
internal sealed record GoldenPrompt(string Text, int[] Ids, int[] Greedy, string GreedyText);
