namespace QwenIlgpu;

/// <summary>A token matched whole; decoding may skip the special ones.</summary>
internal sealed record AddedToken(int Id, string Content, bool Special)
{
    /// <summary>Whether it is matched in the text in form C, as its content is then, and not in the text as it is.</summary>
    public bool Normalized { get; init; }

    /// <summary>Whether it counts only where neither a letter nor a digit stands beside it.</summary>
    public bool SingleWord { get; init; }

    /// <summary>Whether it takes the white space before it.</summary>
    public bool LStrip { get; init; }

    /// <summary>Whether it takes the white space after it.</summary>
    public bool RStrip { get; init; }
}
