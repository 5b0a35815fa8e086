namespace QwenIlgpu.Extensions.AI;

/// <summary>What a registered <see cref="QwenChatClient"/> loads. Its properties can be bound from configuration.</summary>
public sealed class QwenChatClientOptions
{
    /// <summary>The checkpoint's directory; there is no default.</summary>
    public string Path { get; set; } = "";

    /// <summary>What the model is called in answers; null takes the last part of <see cref="Path"/>.</summary>
    public string? ModelId { get; set; }

    /// <summary>How the model is loaded; without a logger factory of its own it takes the container's.</summary>
    public ModelOptions Model { get; set; } = new();

    /// <summary>What its engine holds.</summary>
    public EngineOptions Engine { get; set; } = new();

    /// <summary>What is wrong; null where nothing is.</summary>
    internal string? Fault() => Path.Length == 0
        ? $"{nameof(QwenChatClientOptions)}.{nameof(Path)} is empty; it must be a checkpoint's directory"
        : Directory.Exists(Path) ? null : $"{nameof(QwenChatClientOptions)}.{nameof(Path)} is '{Path}'; there is no such directory";
}
