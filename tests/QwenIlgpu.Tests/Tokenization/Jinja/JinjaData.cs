using System.IO.Compression;
using System.Text.Json;

namespace QwenIlgpu.Tests;

/// <summary>Templates of our own with what jinja2 makes of them in Hugging Face's settings.</summary>
internal static class JinjaData
{
    /// <summary>The time that strftime_now told.</summary>
    public static readonly DateTime Now = new(2026, 3, 4, 5, 6, 7);

    /// <summary>Small templates, one a feature of the language.</summary>
    public static JsonElement Cases { get; } = Read("jinja");

    /// <summary>Chat templates, conversations, and each template's results.</summary>
    public static JsonElement Chats { get; } = Read("jinja_chat");

    public static string ChatTemplate(string name) => Chats.GetProperty("templates").GetProperty(name).GetString()!;

    public static Dictionary<string, object> Variables(JsonElement context) =>
        context.EnumerateObject().ToDictionary(static property => property.Name, static property => JinjaJson.ToValue(property.Value));

    public static JinjaText Render(string template, string context = "{}", JinjaLimits? limits = null) =>
        JinjaTemplate.Parse(template).Render(Variables(TokenizationData.Json(context)), Now, limits);

    private static JsonElement Read(string name)
    {
        using GZipStream stream = new(File.OpenRead(TokenizationData.PathOf($"jinja/{name}.json.gz")), CompressionMode.Decompress);
        using JsonDocument document = JsonDocument.Parse(stream);
        return document.RootElement.Clone();
    }
}
