using System.Globalization;
using System.Numerics;

namespace QwenIlgpu.Cli.Chat;

/// <summary>What becomes of thoughts: they are shown, or only that there are some.</summary>
internal enum ThoughtDisplay
{
    Show,
    Fold,
}

/// <summary>What gives way when the context is full: the oldest turns, or the question.</summary>
internal enum FullContext
{
    Drop,
    Stop,
}

/// <summary>What the options of `qwen chat` say and `/set` changes, by the same names and within the same ranges.</summary>
internal sealed class ChatSettings
{
    private const string Default = "default";

    private readonly Setting[] settings;

    public ChatSettings()
    {
        settings =
        [
            Number("temperature", SamplingRules.Temperature, s => s.Temperature, (s, v) => s with { Temperature = v }),
            Number("top-k", SamplingRules.TopK, s => s.TopK, (s, v) => s with { TopK = v }),
            Number("top-p", SamplingRules.TopP, s => s.TopP, (s, v) => s with { TopP = v }),
            Number("min-p", SamplingRules.MinP, s => s.MinP, (s, v) => s with { MinP = v }),
            Number(
                "repetition-penalty", SamplingRules.RepetitionPenalty, s => s.RepetitionPenalty, (s, v) => s with { RepetitionPenalty = v }),
            Number("frequency-penalty", SamplingRules.FrequencyPenalty, s => s.FrequencyPenalty, (s, v) => s with { FrequencyPenalty = v }),
            Number("presence-penalty", SamplingRules.PresencePenalty, s => s.PresencePenalty, (s, v) => s with { PresencePenalty = v }),
            Number("seed", SamplingArguments.SeedRange, s => s.Seed, (s, v) => s with { Seed = v }),
            Choice("preset", [Default, .. SamplingPreset.All.Select(p => p.Name)], () => Sampling.Preset?.Name ?? Default, ChoosePreset),
            new("max-tokens", SamplingArguments.MaxTokensRange.Rule, () => $"{Generation.MaxTokens}", ReadMaxTokens),
            Choice(
                "thinking", [Default, "on", "off"], () => Template.EnableThinking switch { null => Default, true => "on", false => "off" },
                word => Template = Template with { EnableThinking = word == Default ? null : word == "on" }),
            Choice<ThoughtDisplay>("thoughts", () => Thoughts, value => Thoughts = value),
            Choice<FullContext>("on-full", () => OnFull, value => OnFull = value),
        ];
    }

    public GenerationOptions Generation { get; set; } = new();

    public ChatTemplateOptions Template { get; set; } = new();

    public ThoughtDisplay Thoughts { get; set; }

    public FullContext OnFull { get; set; }

    private SamplingOptions Sampling => Generation.Sampling ?? new SamplingOptions();

    /// <summary>Every setting with its value and range.</summary>
    public IEnumerable<string> Lines() => settings.Select(s => $"  {s.Name,-20} {s.Show(),-14} {s.Range}");

    /// <summary>Changes one.</summary>
    /// <returns>What it is now, for people.</returns>
    /// <exception cref="UsageException">There is no such setting, or the value is out of its range.</exception>
    public string Set(string name, string value)
    {
        Setting setting = settings.FirstOrDefault(s => s.Name == name)
            ?? throw new UsageException(
                $"there is no setting {name}{NearMiss.Question(name, settings.Select(s => s.Name))}; /set lists them");
        if (value.Length > 0)
            setting.Read(value);
        return $"{name} is {setting.Show()}";
    }

    private void ReadMaxTokens(string text) => Generation = Generation with
    {
        MaxTokens = Value("max-tokens", text, SamplingArguments.MaxTokensRange),
    };

    private void ChoosePreset(string name) =>
        Generation = Generation with { Sampling = Sampling with { Preset = name == Default ? null : SamplingPreset.Named(name) } };

    private Setting Number<T>(
        string name, SamplingRules.Rule<T> rule, Func<SamplingOptions, T?> get, Func<SamplingOptions, T?, SamplingOptions> with)
        where T : struct, INumber<T> => Number(name, NumberRange.Of(rule), get, with);

    private Setting Number<T>(
        string name, NumberRange<T> range, Func<SamplingOptions, T?> get, Func<SamplingOptions, T?, SamplingOptions> with)
        where T : struct, INumber<T> => new(
            name,
            $"{range.Rule}, or {Default}",
            () => get(Sampling)?.ToString(null, CultureInfo.InvariantCulture) ?? Default,
            text => Generation = Generation with { Sampling = with(Sampling, text == Default ? null : Value(name, text, range)) });

    private static T Value<T>(string name, string text, NumberRange<T> range)
        where T : struct, INumber<T> =>
        NumberOption.TryRead(name, text, range, out T value, out string? fault) ? value : throw new UsageException(fault);

    private static Setting Choice(string name, string[] words, Func<string> show, Action<string> choose)
    {
        string range = string.Join(" or ", words);
        return new Setting(name, range, show, word => choose(
            words.Contains(word) ? word : throw new UsageException($"{name} is '{word}'; it must be {range}")));
    }

    // An option's words are the names of its values.
    private static Setting Choice<T>(string name, Func<T> get, Action<T> set)
        where T : struct, Enum => Choice(
            name, [.. Enum.GetNames<T>().Select(n => n.ToLowerInvariant())], () => get().ToString().ToLowerInvariant(),
            word => set(Enum.Parse<T>(word, ignoreCase: true)));

    private sealed record Setting(string Name, string Range, Func<string> Show, Action<string> Read);
}
