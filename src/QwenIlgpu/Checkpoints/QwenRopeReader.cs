namespace QwenIlgpu;

/// <summary>Reads the rotary embedding: <c>rope_parameters</c>, or the older top-level keys and <c>rope_scaling</c>.</summary>
internal static class QwenRopeReader
{
    // What the family's configuration class fills in.
    private const double DefaultRotaryFactor = 0.25;

    /// <summary>Base of the frequencies, and how much of a head of <paramref name="headDim"/> is rotated.</summary>
    public static (double Theta, int RotaryDim) Read(JsonSection text, int headDim)
    {
        JsonSection? rope = text.Section("rope_parameters");
        JsonSection? scaling = text.Section("rope_scaling");
        RefuseScaling(rope);
        RefuseScaling(scaling);
        double theta = Agreed(text, rope, scaling, "rope_theta") ?? throw (rope ?? scaling ?? text).Missing("rope_theta");
        double factor = Agreed(text, rope, scaling, "partial_rotary_factor") ?? DefaultRotaryFactor;
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

        return (theta, rotaryDim);
    }

    private static void RefuseScaling(JsonSection? rope)
    {
        foreach (string key in (ReadOnlySpan<string>)["rope_type", "type"])
        {
            // For text the three positions of "mrope" are one.
            if (rope?.Text(key) is not (null or "default" or "mrope"))
                throw rope.Unsupported(key, "default, mrope");
        }
    }

    // Files often give a value in several places; values that differ would leave the choice to chance.
    private static double? Agreed(JsonSection text, JsonSection? rope, JsonSection? scaling, string key)
    {
        (JsonSection Section, double? Value)[] given =
            [.. ((JsonSection?[])[text, rope, scaling]).OfType<JsonSection>().Select(s => (s, s.Number(key))).Where(s => s.Item2 is not null)];
        foreach ((JsonSection section, double? value) in given)
        {
            if (value != given[0].Value)
                throw new InvalidDataException($"{text.File}: {given[0].Section.FullKey(key)} is {given[0].Value}, but {section.FullKey(key)} is {value}");
        }

        return given.Length > 0 ? given[0].Value : null;
    }
}
