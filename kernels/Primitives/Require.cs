using System.Diagnostics.CodeAnalysis;

namespace QwenIlgpu.Kernels;

/// <summary>Operand checks on the host side of every op, made once when a launch is bound.</summary>
internal static class Require
{
    /// <summary>Throws when two extents differ; the message holds both and what they are.</summary>
    public static void Equal(string op, string what, long actual, string expectedWhat, long expected)
    {
        if (actual != expected)
            throw new ArgumentException($"{op}: {what} is {actual}, {expectedWhat} is {expected}");
    }

    /// <summary>Throws when one of the numbers is not from 0 up to, not including, the bound; allocates nothing unless it does.</summary>
    public static void Below(string op, string what, ReadOnlySpan<int> values, int bound)
    {
        foreach (int value in values)
        {
            if ((uint)value >= (uint)bound)
                throw new ArgumentException($"{op}: {what} {value} is not one of 0 to {bound - 1}");
        }
    }

    /// <summary>Throws when a rule does not hold; the rule's text must give the values that broke it.</summary>
    public static void That(string op, [DoesNotReturnIf(false)] bool holds, string rule)
    {
        if (!holds)
            throw new ArgumentException($"{op}: {rule}");
    }
}
