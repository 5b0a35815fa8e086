namespace QwenIlgpu;

/// <summary>What weights are read, and what files of others look like, for messages that name both.</summary>
internal static class WeightFormats
{
    /// <summary>What is read.</summary>
    public const string Supported =
        "safetensors in F32, F16 or BF16, which can become INT4 on load; INT4 of gptq, awq (gemm), auto-round (as gptq or awq) and "
        + "compressed-tensors; FP8 and NVFP4 of fp8, modelopt and compressed-tensors; MXFP4 of compressed-tensors";

    private const string Gguf = ".gguf";

    /// <summary>Whether a path names a GGUF file, there or not.</summary>
    public static bool IsGguf(string path) => path.EndsWith(Gguf, StringComparison.OrdinalIgnoreCase);

    /// <summary>A GGUF file of a directory, or null.</summary>
    public static string? GgufIn(string directory) =>
        Directory.EnumerateFiles(directory).Where(IsGguf).Order(StringComparer.Ordinal).FirstOrDefault();

    /// <summary>The error for a GGUF file, or for a repository of such.</summary>
    public static NotSupportedException GgufRefused(string name) => new($"{name}: GGUF is not supported; supported: {Supported}");
}
