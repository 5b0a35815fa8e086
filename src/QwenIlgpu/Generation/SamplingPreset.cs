namespace QwenIlgpu;

/// <summary>The sampling values that the Qwen3.6 model card recommends for one way of using the model.</summary>
public sealed class SamplingPreset
{
    private SamplingPreset(string name, float temperature, float topP, float presencePenalty)
    {
        Name = name;
        Options = new SamplingOptions
        {
            Temperature = temperature,
            TopP = topP,
            TopK = 20,
            MinP = 0,
            PresencePenalty = presencePenalty,
            RepetitionPenalty = 1,
        };
    }

    /// <summary>Thinking, general tasks: temperature 1, top-p 0.95, top-k 20.</summary>
    public static SamplingPreset Thinking { get; } = new("thinking", 1, 0.95f, 0);

    /// <summary>Thinking, precise coding: temperature 0.6, top-p 0.95, top-k 20.</summary>
    public static SamplingPreset Coding { get; } = new("coding", 0.6f, 0.95f, 0);

    /// <summary>Without thinking: temperature 0.7, top-p 0.8, top-k 20, presence penalty 1.5.</summary>
    public static SamplingPreset NonThinking { get; } = new("non-thinking", 0.7f, 0.8f, 1.5f);

    /// <summary>Every preset.</summary>
    public static IReadOnlyList<SamplingPreset> All { get; } = [Thinking, Coding, NonThinking];

    /// <summary>The name by which <see cref="Named"/> finds it.</summary>
    public string Name { get; }

    /// <summary>Its values.</summary>
    public SamplingOptions Options { get; }

    /// <summary>The preset of that name; an <see cref="ArgumentException"/> lists the names there are.</summary>
    public static SamplingPreset Named(string name) =>
        All.FirstOrDefault(p => p.Name == name)
        ?? throw new ArgumentException($"sampling preset '{name}' is unknown; there are {string.Join(", ", All.Select(p => p.Name))}");

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
