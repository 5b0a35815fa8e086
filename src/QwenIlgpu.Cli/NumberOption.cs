using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;

namespace QwenIlgpu.Cli;

/// <summary>Options whose value is a number, written the same way in every culture.</summary>
internal static class NumberOption
{
    private const int MaxListed = 16;

    /// <summary>A number that may be left out; <paramref name="unset"/> says in the help what holds then.</summary>
    public static Option<T?> Optional<T>(string name, string description, NumberRange<T> range, string? unset = null)
        where T : struct, INumber<T> => new(name)
        {
            Description = $"{description} [{range.Help}{(unset is null ? "" : $"; default: {unset}")}]",
            HelpName = "N",
            Arity = ArgumentArity.ExactlyOne,
            CustomParser = result => Parse(result, name, range),
        };

    /// <summary>A number with a default.</summary>
    public static Option<T> WithDefault<T>(string name, string description, T value, NumberRange<T> range)
        where T : struct, INumber<T> => new(name)
        {
            Description = $"{description} [{range.Help}; default: {value.ToString(null, CultureInfo.InvariantCulture)}]",
            HelpName = "N",
            Arity = ArgumentArity.ExactlyOne,
            DefaultValueFactory = _ => value,
            CustomParser = result => Parse(result, name, range) ?? value,
        };

    /// <summary>Up to 16 whole numbers from 1 on with commas between, null where the option is not given.</summary>
    public static Option<int[]?> List(string name, string description, int most, string? unset = null) => new(name)
    {
        Description = $"{description} [1 to {MaxListed} numbers from 1 to {most}{(unset is null ? "" : $"; default: {unset}")}]",
        HelpName = "N,N,…",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            int?[] numbers = [.. text.Split(',').Select(Parse<int>)];
            if (numbers.Length <= MaxListed && numbers.All(n => n >= 1 && n <= most))
                return [.. numbers.Select(n => n!.Value)];
            result.AddError($"{name} is '{text}'; it must be 1 to {MaxListed} whole numbers from 1 to {most} with commas between");
            return null;
        },
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
    public static bool TryRead<T>(string name, string text, NumberRange<T> range, out T value, [NotNullWhen(false)] out string? fault)
        where T : struct, INumber<T>
    {
        T? number = Parse<T>(text);
        value = number.GetValueOrDefault();
        bool holds = number is not null && T.IsFinite(value) && range.Holds(value);
        fault = holds ? null : $"{name} is '{text}'; it must be {range.Rule}";
        return holds;
    }

    private static T? Parse<T>(ArgumentResult result, string name, NumberRange<T> range)
        where T : struct, INumber<T>
    {
        if (TryRead(name, result.Tokens[^1].Value, range, out T value, out string? fault))
            return value;
        result.AddError(fault);
        return null;
    }
}

/// <summary>The numbers that an option takes.</summary>
/// <param name="Holds">Whether one of them.</param>
/// <param name="Rule">In words that complete "must be …".</param>
/// <param name="Help">In the fewest words.</param>
internal sealed record NumberRange<T>(Func<T, bool> Holds, string Rule, string Help)
    where T : struct, INumber<T>;

/// <summary>Ranges that are told by their ends.</summary>
internal static class NumberRange
{
    /// <summary>Whole numbers, both ends among them.</summary>
    public static NumberRange<int> Whole(int least, int most = int.MaxValue)
    {
        string ends = string.Create(CultureInfo.InvariantCulture, $"{least} to {most}");
        return new NumberRange<int>(v => v >= least && v <= most, $"a whole number from {ends}", ends);
    }

    /// <summary>Multiples of a number, both ends among them.</summary>
    public static NumberRange<int> Multiples(int of, int least, int most)
    {
        string rule = string.Create(CultureInfo.InvariantCulture, $"a multiple of {of} from {least} to {most}");
        return new NumberRange<int>(v => v >= least && v <= most && v % of == 0, rule, rule);
    }

    /// <summary>The rule of a sampling option.</summary>
    public static NumberRange<T> Of<T>(SamplingRules.Rule<T> rule)
        where T : struct, INumber<T> => new(rule.Allows, rule.Range, rule.Range);
}
