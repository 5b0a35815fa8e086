using System.Collections.Concurrent;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>
/// A checkpoint's own defaults for generation, as its <c>generation_config.json</c> writes them: whoever makes use of one checks it, so
/// that a bad one stops nobody else.
/// </summary>
internal sealed class GenerationConfig
{
    private const string FileName = "generation_config.json";

    private readonly ConcurrentDictionary<string, bool> noticed = new();
    private readonly Action<string> notice;

    private GenerationConfig(JsonSection json, Action<string>? notice)
    {
        Json = json;
        this.notice = notice ?? (static _ => { });
    }

    /// <summary>The file's members.</summary>
    public JsonSection Json { get; }

    /// <summary>True to sample, false for the likeliest token.</summary>
    public bool? DoSample => Json.Bool("do_sample");

    /// <summary>Reads the file of a checkpoint directory; null where it has none. <paramref name="notice"/> is told what is left out.</summary>
    public static GenerationConfig? Load(string directory, Action<string>? notice = null)
    {
        string file = Path.Combine(directory, FileName);
        return CheckpointFile.Exists(file) ? new GenerationConfig(JsonSection.Load(file), notice) : null;
    }

    /// <summary>The value at a key as the file writes it, for reports; null where it is silent.</summary>
    public JsonElement? Raw(string key) => Json.Value(key);

    /// <summary>Says once what is not taken as it stands.</summary>
    public void NoticeOnce(string key, string rule)
    {
        if (noticed.TryAdd(key, true))
            notice($"{Json.Invalid(key, rule).Message}: it is left out");
    }
}
