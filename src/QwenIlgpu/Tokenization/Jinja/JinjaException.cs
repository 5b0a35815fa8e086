namespace QwenIlgpu;

/// <summary>A place in a template's source, both counted from 1.</summary>
internal readonly record struct JinjaPosition(int Line, int Column);

/// <summary>What a template says against its input, or what is wrong with the template itself.</summary>
internal sealed class JinjaException : ArgumentException
{
    public JinjaException(string words, JinjaPosition at = default, bool isRaised = false)
        : base(at.Line == 0 ? words : $"line {at.Line}, column {at.Column}: {words}")
    {
        (Words, At, IsRaised) = (words, at, isRaised);
    }

    /// <summary>What is wrong, without the place; what raise_exception was given, verbatim.</summary>
    public string Words { get; }

    /// <summary>Where it went wrong; 0, 0 until that is known.</summary>
    public JinjaPosition At { get; }

    /// <summary>Whether the template itself raised it.</summary>
    public bool IsRaised { get; }
}
