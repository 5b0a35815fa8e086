using System.Globalization;

namespace QwenIlgpu;

/// <summary>
/// A longer context than a model was trained for, by YaRN: written <c>yarn,factor=4</c> or <c>yarn,factor=4,original=262144</c>.
/// </summary>
public sealed record RopeScaling
{
    /// <summary>The largest factor; published models use 2 to 64.</summary>
    internal const double MaxFactor = 1024;

    private const string YarnName = "yarn";
    private const string FactorKey = "factor=";
    private const string OriginalKey = "original=";

    private RopeScaling(double factor, int? originalContextTokens) => (Factor, OriginalContextTokens) = (factor, originalContextTokens);

    /// <summary>How many times longer the context becomes.</summary>
    public double Factor { get; }

    /// <summary>The context that the model was trained for, in tokens; null takes what <c>config.json</c> says.</summary>
    public int? OriginalContextTokens { get; }

    /// <summary>Static YaRN, which applies to short prompts too.</summary>
    /// <param name="factor">How many times longer the context becomes: from 1 to 1024.</param>
    /// <param name="originalContextTokens">The context that the model was trained for, in tokens; null takes what <c>config.json</c> says.</param>
    /// <exception cref="ArgumentOutOfRangeException">The factor or the context is out of range.</exception>
    public static RopeScaling Yarn(double factor, int? originalContextTokens = null)
    {
        if (factor is not (>= 1 and <= MaxFactor))
            throw new ArgumentOutOfRangeException(nameof(factor), factor, $"factor must be from 1 to {MaxFactor}");
        if (originalContextTokens is < 1)
            throw new ArgumentOutOfRangeException(nameof(originalContextTokens), originalContextTokens, "originalContextTokens must be at least 1");
        return new RopeScaling(factor, originalContextTokens);
    }

    /// <summary>Reads <c>yarn,factor=4</c> or <c>yarn,factor=4,original=262144</c>.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="FormatException">It is neither.</exception>
    public static RopeScaling Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out RopeScaling? scaling) ? scaling : throw new FormatException($"rope scaling is '{text}'; it must be {Rule}");
    }

    /// <summary>Reads <c>yarn,factor=4</c> or <c>yarn,factor=4,original=262144</c>; false if the text is neither.</summary>
    /// <param name="text">The text.</param>
    /// <param name="scaling">What it means; null if nothing.</param>
    public static bool TryParse(string? text, [System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out RopeScaling? scaling)
    {
        scaling = null;
        if (text?.Split(',') is not [YarnName, { } first, .. { Length: <= 1 } rest] || !first.StartsWith(FactorKey, StringComparison.Ordinal)
            || !double.TryParse(first.AsSpan(FactorKey.Length), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double factor)
            || factor is not (>= 1 and <= MaxFactor))
        {
            return false;
        }

        int original = 0;
        if (rest is [{ } second] && (!second.StartsWith(OriginalKey, StringComparison.Ordinal)
            || !int.TryParse(second.AsSpan(OriginalKey.Length), NumberStyles.None, CultureInfo.InvariantCulture, out original) || original < 1))
        {
            return false;
        }

        scaling = new RopeScaling(factor, original == 0 ? null : original);
        return true;
    }

    /// <summary>What <see cref="TryParse"/> reads, in words: completes "must be …".</summary>
    internal static string Rule { get; } = $"yarn,factor=N or yarn,factor=N,original=TOKENS, with N from 1 to {MaxFactor} and TOKENS at least 1";

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{YarnName},{FactorKey}{Factor}");
        return OriginalContextTokens is { } original ? string.Create(CultureInfo.InvariantCulture, $"{text},{OriginalKey}{original}") : text;
    }
}
