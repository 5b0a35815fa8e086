using System.CommandLine;
using System.Globalization;

namespace QwenIlgpu.Cli;

/// <summary>Options whose value is a size in bytes, written with a unit: 24GiB, 500MB.</summary>
internal static class SizeOption
{
    private const string Rule = "a whole or decimal number above 0 with B, KB, MB, GB, TB or KiB, MiB, GiB, TiB behind it, such as 24GiB";

    private static readonly (string Unit, double Bytes)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12), ("B", 1),
    ];

    /// <summary>A size that may be left out; <paramref name="unset"/> says in the help what holds then.</summary>
    public static Option<long?> Optional(string name, string description, string unset) => new(name)
    {
        Description = $"{description} [such as 24GiB; default: {unset}]",
        HelpName = "SIZE",
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            string text = result.Tokens[^1].Value;
            if (TryParse(text, out long bytes))
                return bytes;
            result.AddError($"{name} is '{text}'; it must be {Rule}");
            return null;
        },
    };

    /// <summary>Reads a size; false where the text is none, or not a positive number of bytes that a long can hold.</summary>
    public static bool TryParse(string text, out long bytes)
    {
        bytes = 0;
        foreach ((string unit, double unitBytes) in Units)
        {
            if (!text.EndsWith(unit, StringComparison.OrdinalIgnoreCase))
                continue;
            ReadOnlySpan<char> digits = text.AsSpan(0, text.Length - unit.Length);
            if (!double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
                return false;
            double size = number * unitBytes;
            if (size is < 1 or >= long.MaxValue)
                return false;
            bytes = (long)size;
            return true;
        }

        return false;
    }
}
