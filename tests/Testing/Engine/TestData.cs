namespace QwenIlgpu.Testing;

/// <summary>Where the data that ship with the tests lie.</summary>
internal static class TestData
{
    public static string Golden { get; } = Path.Combine(AppContext.BaseDirectory, "data", "golden");

    /// <summary>The trained tiny model, the command line's default.</summary>
    public static string TinyModel { get; } = Path.Combine(AppContext.BaseDirectory, "models", "tiny-qwen3.6");

    /// <summary>The same model in GPTQ v1, symmetric, groups of 128.</summary>
    public static string TinyGptqModel { get; } = Path.Combine(AppContext.BaseDirectory, "data", "tiny-qwen3.6-gptq-int4");
}
