using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>The rotary embedding of a model.</summary>
/// <param name="Theta">Base of the frequencies.</param>
/// <param name="RotaryDim">The leading part of a head that is rotated.</param>
/// <param name="Yarn">What stretches it, or null.</param>
/// <param name="Positions">Positions that it is made for.</param>
internal sealed record RopeConfig(double Theta, int RotaryDim, YarnScaling? Yarn, int Positions);

/// <summary>Reads the rotary embedding: <c>rope_parameters</c>, or the older top-level keys and <c>rope_scaling</c>.</summary>
internal sealed class QwenRopeReader
{
    private const string OriginalKey = "original_max_position_embeddings";

    // What the family's configuration class fills in.
    private const double DefaultRotaryFactor = 0.25;

    private static readonly string[] TypeKeys = ["rope_type", "type"];

    // What only YaRN has, besides factor and original context.
    private static readonly string[] FineKeys = ["attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"];

    private static readonly string[] KnownKeys =
        [.. TypeKeys, .. FineKeys, "factor", OriginalKey, "rope_theta", "partial_rotary_factor", "mrope_section", "mrope_interleaved"];

    private readonly JsonSection text;
    private readonly JsonSection[] sections;
    private readonly ICollection<string> notices;

    private QwenRopeReader(JsonSection text, ICollection<string> notices)
    {
        (this.text, this.notices) = (text, notices);
        sections = [.. ((JsonSection?[])[text.Section("rope_parameters"), text.Section("rope_scaling")]).OfType<JsonSection>()];
    }

    /// <summary>
    /// The rotary embedding for heads of <paramref name="headDim"/>. A scaling that is asked for counts before the file's.
    /// </summary>
    public static RopeConfig Read(JsonSection text, int headDim, RopeScaling? asked, ICollection<string> notices)
    {
        var reader = new QwenRopeReader(text, notices);
        double theta = reader.Agreed("rope_theta") ?? throw (reader.sections.FirstOrDefault() ?? text).Missing("rope_theta");
        double factor = reader.Agreed("partial_rotary_factor") ?? DefaultRotaryFactor;
        if (theta is not (> 1 and <= 1e15))
            throw new InvalidDataException($"{text.File}: rope_theta is {theta}, must be above 1 and at most 1e15");
        if (factor is not (> 0 and <= 1))
            throw new InvalidDataException($"{text.File}: partial_rotary_factor is {factor}, must be above 0 and at most 1");

        int rotaryDim = (int)(headDim * factor);
        if (rotaryDim < 2 || rotaryDim % 2 != 0)
        {
            throw new InvalidDataException(
                $"{text.File}: partial_rotary_factor {factor} rotates {rotaryDim} of head_dim {headDim}, must be an even number from 2 on");
        }

        int positions = text.RequiredInt("max_position_embeddings", 1, int.MaxValue);
        YarnScaling? yarn = asked is null ? reader.OfFile(positions) : reader.Asked(asked, positions);
        return new RopeConfig(theta, rotaryDim, yarn, yarn is null ? positions : reader.Stretched(yarn, positions));
    }

    private YarnScaling? OfFile(int positions)
    {
        (JsonSection Section, string Key, string Type)[] types = [.. Types()];
        foreach ((JsonSection section, string key, string type) in types)
        {
            if (type is not ("default" or "yarn"))
                throw section.Unsupported(key, "default, mrope, yarn");
            if (type != types[0].Type)
            {
                throw new InvalidDataException(
                    $"{text.File}: {types[0].Section.FullKey(types[0].Key)} is {types[0].Type}, but {section.FullKey(key)} is {type}");
            }
        }

        return types.Length > 0 && types[0].Type == "yarn" ? ReadYarn(positions) : null;
    }

    // What the file says is not read further than to tell of it, so that it may be anything.
    private YarnScaling Asked(RopeScaling asked, int positions)
    {
        bool isYarn = Types().Any(t => t.Type == "yarn");
        double? Given(string key) => isYarn ? sections.Select(s => s.NumberOrNull(key)).FirstOrDefault(n => n is not null) : null;
        int? original = Given(OriginalKey) is >= 1 and <= int.MaxValue and { } given ? (int)given : null;
        var yarn = new YarnScaling(asked.Factor, asked.OriginalContextTokens ?? original ?? positions);
        bool isSame = isYarn && Given("factor") == yarn.Factor && (original ?? positions) == yarn.OriginalPositions
            && !sections.Any(s => FineKeys.Any(s.Has));
        if (!isSame && Types().FirstOrDefault(t => t.Type != "default") is ({ } section, { } key, { } type))
            notices.Add($"{text.File}: {section.FullKey(key)} is \"{JsonText.Shown(type)}\"{(isYarn ? " with other values" : "")}; {asked} was asked for, and counts");
        return yarn;
    }

    // For text the three positions of "mrope" are one: it says nothing of the scaling.
    private IEnumerable<(JsonSection Section, string Key, string Type)> Types() =>
        from section in sections
        from key in TypeKeys
        let type = section.Text(key)
        where type is not (null or "mrope")
        select (section, key, type);

    private YarnScaling ReadYarn(int positions)
    {
        double factor = InRange("factor", Agreed("factor"), 1, RopeScaling.MaxFactor) ?? throw sections[0].Missing("factor");
        double original = InRange(OriginalKey, Agreed(OriginalKey), 1, int.MaxValue) ?? positions;
        if (original != Math.Floor(original))
            throw new InvalidDataException($"{text.File}: {OriginalKey} is {original}, must be a whole number");
        (double mscale, double mscaleAllDim) = (Agreed("mscale") ?? 0, Agreed("mscale_all_dim") ?? 0);
        double magnitude = mscale != 0 && mscaleAllDim != 0
            ? YarnScaling.Magnitude(factor, mscale) / YarnScaling.Magnitude(factor, mscaleAllDim) : YarnScaling.Magnitude(factor, 1);
        var yarn = new YarnScaling(factor, (int)original)
        {
            BetaFast = InRange("beta_fast", Agreed("beta_fast"), 1e-3, 1e6) ?? 32,
            BetaSlow = InRange("beta_slow", Agreed("beta_slow"), 1e-3, 1e6) ?? 1,
            Truncate = sections.Select(s => s.Bool("truncate")).FirstOrDefault(b => b is not null) ?? true,
            AttentionFactor = InRange("attention_factor", Agreed("attention_factor") ?? magnitude, 1e-3, 1e3)!.Value,
        };
        if (yarn.BetaSlow > yarn.BetaFast)
            throw new InvalidDataException($"{text.File}: beta_slow is {yarn.BetaSlow}, must be at most beta_fast, {yarn.BetaFast}");
        foreach (JsonSection section in sections)
        {
            foreach (string key in section.Keys.Except(KnownKeys))
                notices.Add($"{text.File}: {section.FullKey(JsonText.Shown(key))} is not known, and is left out");
        }

        return yarn;
    }

    private double? InRange(string key, double? value, double min, double max) => value is null || (value >= min && value <= max)
        ? value
        : throw new InvalidDataException($"{text.File}: {key} is {value}, must be from {min} to {max}");

    private int Stretched(YarnScaling yarn, int positions)
    {
        double stretched = Math.Floor(yarn.Factor * yarn.OriginalPositions);
        if (stretched > int.MaxValue)
        {
            throw new InvalidDataException(
                $"{text.File}: YaRN makes a context of {stretched} tokens, {yarn.Factor} times {yarn.OriginalPositions}; at most {int.MaxValue} are possible");
        }

        if (stretched < positions)
            notices.Add($"{text.File}: max_position_embeddings is {positions}, YaRN makes {stretched} of {yarn.OriginalPositions}; {positions} counts");
        return Math.Max((int)stretched, positions);
    }

    // Files often give a value in several places; values that differ would leave the choice to chance.
    private double? Agreed(string key)
    {
        (JsonSection Section, double? Value)[] given = [.. sections.Prepend(text).Select(s => (s, s.Number(key))).Where(s => s.Item2 is not null)];
        foreach ((JsonSection section, double? value) in given)
        {
            if (value != given[0].Value)
                throw new InvalidDataException($"{text.File}: {given[0].Section.FullKey(key)} is {given[0].Value}, but {section.FullKey(key)} is {value}");
        }

        return given.Length > 0 ? given[0].Value : null;
    }
}
