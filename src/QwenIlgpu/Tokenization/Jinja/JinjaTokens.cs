using System.Runtime.CompilerServices;

namespace QwenIlgpu;

/// <summary>The tokens of a template, read one after the other.</summary>
internal sealed class JinjaTokens(List<JinjaToken> tokens)
{
    // Twice what any template has been seen to need, and far below what the stack holds.
    private const int MaxNesting = 100;

    private int at;
    private int depth;

    public JinjaToken Current => tokens[at];

    public JinjaToken Ahead => tokens[Math.Min(at + 1, tokens.Count - 1)];

    public JinjaToken Next()
    {
        JinjaToken token = tokens[at];
        if (at < tokens.Count - 1) at++;
        return token;
    }

    public JinjaToken Expect(JinjaTokenKind kind) =>
        Current.Kind == kind ? Next() : throw Error($"expected token '{new JinjaToken(kind, kind.ToString(), default)}', got '{Current}'");

    public void Expect(string operation)
    {
        if (!Skip(operation)) throw Error($"expected token '{operation}', got '{Current}'");
    }

    /// <summary>Passes an operator or a word, if it is there.</summary>
    public bool Skip(string text)
    {
        if (Current.Text != text || Current.Kind is not (JinjaTokenKind.Operator or JinjaTokenKind.Name)) return false;
        Next();
        return true;
    }

    public JinjaException Error(string words) => new(words, Current.At);

    /// <summary>Goes a level deeper, until disposed of.</summary>
    public Level Enter() => ++depth <= MaxNesting && RuntimeHelpers.TryEnsureSufficientExecutionStack()
        ? new Level(this)
        : throw Error("nested too deeply");

    public readonly struct Level(JinjaTokens tokens) : IDisposable
    {
        public void Dispose() => tokens.depth--;
    }
}
