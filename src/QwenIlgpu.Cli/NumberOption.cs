using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;

namespace QwenIlgpu.Cli;

/// <summary>Options whose value is a number, written the same way in every culture.</summary>
internal static class NumberOption
{
    /// <summary>A number that may be left out; <paramref name="range"/> completes "must be …".</summary>
    public static Option<T?> Optional<T>(string name, string description, Func<T, bool> holds, string range)
        where T : struct, INumber<T> => new(name)
        {
            Description = description,
            HelpName = "N",
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result => Parse(result, name, holds, range),
        };

    /// <summary>A number with a default.</summary>
    public static Option<T> WithDefault<T>(string name, string description, T value, Func<T, bool> holds, string range)
        where T : struct, INumber<T> => new(name)
        {
            Description = description,
            HelpName = "N",
            Arity = ArgumentArity.ExactlyOne,
            DefaultValueFactory = _ => value,
            CustomParser = result => Parse(result, name, holds, range) ?? value,
        };

    /// <summary>A number in invariant notation, or null.</summary>
    public static T? Parse<T>(string text)
        where T : struct, INumber<T>
    {
        bool whole = T.IsZero(T.One / (T.One + T.One));
        NumberStyles style = whole ? NumberStyles.AllowLeadingSign : NumberStyles.Float;
        return T.TryParse(text, style, CultureInfo.InvariantCulture, out T value) && !T.IsNaN(value) ? value : null;
    }

    /// <summary>Whether a text is a number in a range, and the number; else what is at fault, by the name that the user knows.</summary>
    public static bool TryRead<T>(
        string name, string text, Func<T, bool> holds, string range, out T value, [NotNullWhen(false)] out string? fault)
        where T : struct, INumber<T>
    {
        T? number = Parse<T>(text);
        value = number.GetValueOrDefault();
        bool holdsHere = number is not null && T.IsFinite(value) && holds(value);
        fault = holdsHere ? null : $"{name} is '{text}'; it must be {range}";
        return holdsHere;
    }

    private static T? Parse<T>(ArgumentResult result, string name, Func<T, bool> holds, string range)
        where T : struct, INumber<T>
    {
        if (TryRead(name, result.Tokens[^1].Value, holds, range, out T value, out string? fault))
            return value;
        result.AddError(fault);
        return null;
    }
}
