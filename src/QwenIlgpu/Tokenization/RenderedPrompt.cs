namespace QwenIlgpu;

/// <summary>
/// A prompt, and which of it the chat template wrote: only there are control tokens control tokens. Ranges are in order, apart from each
/// other and not empty.
/// </summary>
internal readonly record struct RenderedPrompt(string Text, IReadOnlyList<TextRange> TemplateRanges)
{
    /// <summary>What stands before a place.</summary>
    public RenderedPrompt Until(int end) => new(
        Text[..end],
        [.. TemplateRanges.Where(range => range.Start < end).Select(range => new TextRange(range.Start, Math.Min(range.End, end)))]);
}
