namespace QwenIlgpu;

/// <summary>UTF-16 units [Start, End) of a text.</summary>
internal readonly record struct TextRange(int Start, int End);
