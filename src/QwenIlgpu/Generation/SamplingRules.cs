using System.Globalization;
using System.Numerics;

namespace QwenIlgpu;

/// <summary>The range of each sampling option, and its value where nobody sets it.</summary>
internal static class SamplingRules
{
    public static Rule<float> Temperature { get; } = new(
        nameof(SamplingOptions.Temperature), "temperature", 0, v => v >= 0, "a number of at least 0 (0 is greedy)");

    public static Rule<int> TopK { get; } = new(
        nameof(SamplingOptions.TopK), "top_k", 0, v => v is >= 0 and <= SamplingOptions.MaxTopK, "from 0 (off) to 1024",
        // Others write -1 for off, or more than there are tokens.
        meaning: v => v == -1 ? 0 : v, leavesOut: v => v > SamplingOptions.MaxTopK);

    public static Rule<float> TopP { get; } = new(
        nameof(SamplingOptions.TopP), "top_p", 1, v => v is > 0 and <= 1, "above 0 and at most 1 (off)");

    public static Rule<float> MinP { get; } = new(nameof(SamplingOptions.MinP), "min_p", 0, v => v is >= 0 and <= 1, "from 0 (off) to 1");

    public static Rule<float> RepetitionPenalty { get; } = new(
        nameof(SamplingOptions.RepetitionPenalty), "repetition_penalty", 1, v => v > 0, "a number above 0 (1 is off)");

    public static Rule<float> FrequencyPenalty { get; } = new(
        nameof(SamplingOptions.FrequencyPenalty), "frequency_penalty", 0, v => v is >= -2 and <= 2, "from -2 to 2 (0 is off)");

    public static Rule<float> PresencePenalty { get; } = new(
        nameof(SamplingOptions.PresencePenalty), "presence_penalty", 0, v => v is >= -2 and <= 2, "from -2 to 2 (0 is off)");

    private static Rule<int> TopLogProbs { get; } = new(
        nameof(SamplingOptions.TopLogProbs), "", 0, v => v is >= 0 and <= SamplingOptions.MaxTopLogProbs, "from 0 to 20");

    /// <summary>The options that have no default elsewhere: token ids must be those of tokens.</summary>
    public static void CheckTokens(SamplingOptions options, int vocabularySize, Func<int, bool> hasToken)
    {
        _ = TopLogProbs.First(options.TopLogProbs, null, null);
        foreach ((int id, float bias) in options.LogitBias ?? new Dictionary<int, float>())
        {
            CheckId(nameof(SamplingOptions.LogitBias), id, vocabularySize, hasToken);
            if (float.IsNaN(bias) || float.IsPositiveInfinity(bias))
                throw OutOfRange($"LogitBias of token {id} is {Text(bias)}; it must be finite, or -Infinity to forbid the token");
        }

        if (options.AllowedTokenIds is { Count: 0 })
            throw new ArgumentException("AllowedTokenIds is empty; it must hold at least one token id, or be unset", nameof(options));
        foreach (int id in options.AllowedTokenIds ?? [])
            CheckId(nameof(SamplingOptions.AllowedTokenIds), id, vocabularySize, hasToken);
        if (options.LogitBias is { Count: > 0 } biases && (options.AllowedTokenIds ?? Enumerable.Range(0, vocabularySize)).All(id => Forbids(id) || !hasToken(id)))
            throw new ArgumentException("LogitBias forbids every token that may be drawn", nameof(options));

        bool Forbids(int id) => biases.TryGetValue(id, out float value) && float.IsNegativeInfinity(value);
    }

    private static void CheckId(string option, int id, int vocabularySize, Func<int, bool> hasToken)
    {
        if (id < 0 || id >= vocabularySize)
            throw OutOfRange($"{option} names token {id}; the vocabulary has ids from 0 to {vocabularySize - 1}");
        if (!hasToken(id))
            throw OutOfRange($"{option} names token {id}; no token has this id");
    }

    // The parameter of the public calls that take them.
    private static ArgumentOutOfRangeException OutOfRange(string message, string parameter = "options") => new(parameter, message);

    private static string Text<T>(T value)
        where T : struct, INumber<T> => value.ToString(null, CultureInfo.InvariantCulture);

    /// <summary>One option's range in words and as a test, and what a checkpoint calls it.</summary>
    internal sealed class Rule<T>(
        string name, string key, T neutral, Func<T, bool> holds, string range, Func<double, double>? meaning = null,
        Func<double, bool>? leavesOut = null)
        where T : struct, INumber<T>
    {
        /// <summary>The range in words that complete "must be …".</summary>
        public string Range => range;

        /// <summary>Whether a value lies in the range.</summary>
        public bool Allows(T value) => T.IsFinite(value) && holds(value);

        /// <summary>
        /// The first that is set, checked; the neutral value if none is. A checkpoint's value out of the range is refused, or left out with
        /// a notice.
        /// </summary>
        public T First(T? option, T? preset, GenerationConfig? defaults, bool leavesOutBad = false)
        {
            if ((option ?? preset) is { } given)
                return Allows(given) ? given : throw OutOfRange($"{name} is {Text(given)}; it must be {range}");
            if (defaults?.Raw(key) is null)
                return neutral;
            if (Configured(defaults) is { } configured)
                return configured;
            bool isLeftOut = leavesOutBad || (defaults.Json.NumberOrNull(key) is { } number && leavesOut?.Invoke(number) == true);
            if (!isLeftOut)
                throw defaults.Json.Invalid(key, range);
            defaults.NoticeOnce(key, range);
            return neutral;
        }

        private T? Configured(GenerationConfig defaults)
        {
            if (defaults.Json.NumberOrNull(key) is not { } number)
                return null;
            number = meaning?.Invoke(number) ?? number;
            T value = T.CreateSaturating(number);
            bool isWhole = typeof(T) != typeof(int) || double.IsInteger(number);
            return isWhole && Allows(value) ? value : null;
        }
    }
}
