using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>One line of a kernel's text changed, as a slip of whoever wrote the kernel would have changed it.</summary>
/// <param name="Operator">The kind of slip.</param>
/// <param name="Line">From 1.</param>
/// <param name="Before">The line as it is.</param>
/// <param name="After">What stands there instead; empty where it is dropped.</param>
internal sealed partial record Mutation(MutationOperator Operator, int Line, string Before, string After)
{
    /// <summary>
    /// What is changed, without the numbers of registers and labels, which depend on what ILGPU compiled before:
    /// <c>st.shared.b32 [%rd+4], %r;</c>.
    /// </summary>
    public string Change
    {
        get
        {
            string text = Spaces().Replace(Numbers().Replace(After.Length == 0 ? Before : After, "$1"), " ").Trim();
            return After.Length == 0 ? $"no {text}" : text;
        }
    }

    /// <summary>The text with the mutation in it; its other lines keep their numbers.</summary>
    public string In(string[] lines) => string.Join('\n', lines.Select((l, i) => i == Line - 1 ? After : l));

    [GeneratedRegex(@"(%[a-z]+|\bL_)\d+")]
    private static partial Regex Numbers();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}

/// <summary>The kinds of slips.</summary>
internal enum MutationOperator
{
    /// <summary>A wait for copies, a barrier or a fence is left out.</summary>
    Dropped,

    /// <summary>A wait is content with one group of copies less: <c>wait_group N + 1</c>.</summary>
    WaitGroup,

    /// <summary>An offset in shared memory is a word too large or too small.</summary>
    SharedOffset,

    /// <summary>Two registers of an operand of <c>mma</c> are taken for each other.</summary>
    MmaOperands,

    /// <summary>A guard is negated.</summary>
    Predicate,

    /// <summary>A shuffle takes from another lane (a butterfly at half its distance), or leaves half of the warp out.</summary>
    Shuffle,

    /// <summary>A loop ends an iteration early or late.</summary>
    LoopBound,
}
