using System.Runtime.CompilerServices;

namespace QwenIlgpu;

/// <summary>How much work a rendering may cost before it is given up.</summary>
/// <param name="Steps">Nodes evaluated, items visited, and characters searched by the dozen.</param>
/// <param name="Characters">Characters written, in the output and in all values on the way.</param>
internal readonly record struct JinjaLimits(long Steps, long Characters);

/// <summary>One rendering: where it is, what it may still cost, and what time it is.</summary>
internal sealed class JinjaRun(JinjaLimits limits, DateTime now)
{
    /// <summary>Values inside each other: a thousand, as many as Python prints.</summary>
    public const int MaxDepth = 1000;

    /// <summary>What a call of a macro or of a recursive loop counts as.</summary>
    public const int CallDepth = 5;

    /// <summary>What a value costs besides its characters.</summary>
    private const int CharactersPerValue = 16;

    /// <summary>What the variables of a call or of a turn of a loop cost.</summary>
    public const int CharactersPerScope = 64;

    private long steps = limits.Steps;
    private long characters = limits.Characters;
    private int depth;

    /// <summary>The node that is evaluated.</summary>
    public JinjaPosition At { get; set; }

    /// <summary>What strftime_now tells.</summary>
    public DateTime Now => now;

    /// <summary>Counts work that is done in any case.</summary>
    public void Step(long count = 1)
    {
        steps -= count;
        if (steps < 0) throw new JinjaException($"rendering takes more than {limits.Steps} steps.", At);
    }

    /// <summary>Counts a search in a text for another one.</summary>
    public void Search(long length, long wanted) => Step(1 + (length / 64) + (length * wanted / 4096));

    /// <summary>Counts characters before they are made.</summary>
    public void Allocate(long count)
    {
        characters -= count + CharactersPerValue;
        if (characters < 0) throw new JinjaException($"rendering takes more than {limits.Characters} characters.", At);
    }

    /// <summary>Goes some levels deeper; <see cref="Leave"/> comes back.</summary>
    public void Enter(int levels = 1)
    {
        depth += levels;
        if (depth > MaxDepth) throw new JinjaException("calls or values are nested too deeply.", At);
        EnsureStack();
    }

    public void Leave(int levels = 1) => depth -= levels;

    /// <summary>Sees to it that the stack holds another step of a recursion; a sum of many terms is one, too.</summary>
    public void EnsureStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack()) throw new JinjaException("an expression is nested too deeply.", At);
    }
}
