namespace QwenIlgpu;

/// <summary>Reads the rotary embedding: <c>rope_parameters</c>, or the older top-level keys and <c>rope_scaling</c>.</summary>
internal static class QwenRopeReader
{
    /// <summary>Base of the frequencies, and how much of a head of <paramref name="headDim"/> is rotated.</summary>
    public static (double Theta, int RotaryDim) Read(JsonSection text, int headDim)
    {
        JsonSection? rope = text.Section("rope_parameters");
        JsonSection? scaling = text.Section("rope_scaling");
        RefuseScaling(rope);
        RefuseScaling(scaling);
        rope ??= scaling;
        double theta = Agreed(text, rope, "rope_theta");
        double factor = Agreed(text, rope, "partial_rotary_factor");
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
            if (rope?.Text(key) is not (null or "default"))
                throw rope.Unsupported(key, "default");
        }
    }

    // Files often give a value in both places; two values that differ would leave the choice to chance.
    private static double Agreed(JsonSection text, JsonSection? rope, string key)
    {
        double? outer = text.Number(key);
        double? inner = rope?.Number(key);
        if (outer is not null && inner is not null && outer != inner)
            throw new InvalidDataException($"{text.File}: {text.FullKey(key)} is {outer}, but {rope!.FullKey(key)} is {inner}");
        return inner ?? outer ?? throw (rope ?? text).Missing(key);
    }
}
