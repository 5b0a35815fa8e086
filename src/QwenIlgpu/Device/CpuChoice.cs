using System.Globalization;

namespace QwenIlgpu;

/// <summary>What a model takes of a device.</summary>
/// <param name="WeightBytes">Its weights, as they lie in memory.</param>
/// <param name="BytesPerToken">Weights that a decoded token reads: all layers and the head, of the embedding one row.</param>
internal readonly record struct ModelFootprint(long WeightBytes, long BytesPerToken);

/// <summary>Whether the CPU takes a model that was to run on a GPU, and what is said of it.</summary>
internal static class CpuChoice
{
    private const long LeastRoomBytes = 1_000_000_000;

    // Smaller weights lie in caches, of which the bandwidth of memory says nothing.
    private const long LeastPredictedBytes = 100_000_000;

    /// <summary>Memory that must be left beside the weights, for caches, activations and everybody else: a tenth of them, 1 GB at least.</summary>
    public static long RoomBytes(long weightBytes) => Math.Max(LeastRoomBytes, weightBytes / 10);

    public static bool Fits(long weightBytes, long availableBytes) => weightBytes + RoomBytes(weightBytes) <= availableBytes;

    /// <summary>The largest weights that fit; 0 if none do.</summary>
    public static long LargestModelBytes(long availableBytes) =>
        Math.Max(0, Math.Min(availableBytes - LeastRoomBytes, availableBytes / 11 * 10));

    /// <summary>Refuses weights that do not fit.</summary>
    /// <exception cref="NotSupportedException">The message has both sizes and what to do.</exception>
    public static void Require(string refusal, ModelFootprint model, long availableBytes)
    {
        if (Fits(model.WeightBytes, availableBytes))
            return;
        throw new NotSupportedException(
            $"no CUDA device: {refusal}; the CPU has {Gigabytes(availableBytes)} of memory available, the model takes {Gigabytes(model.WeightBytes)} "
            + $"and {Gigabytes(RoomBytes(model.WeightBytes))} of room: take a smaller model or INT4 weights, free memory, or try --device cpu all the same");
    }

    /// <summary>One line: why the CPU, with how many threads, and how quick it can be where memory decides that.</summary>
    public static string Notice(string refusal, ModelFootprint? model, int threads, Func<double> measureBytesPerSecond)
    {
        string notice = $"no CUDA device ({refusal}); running on the CPU with {threads} {(threads == 1 ? "thread" : "threads")}";
        return Speed(model, measureBytesPerSecond) is { } speed ? $"{notice}: {speed}" : notice;
    }

    /// <summary>How many tokens a second memory allows at best; null where it does not decide.</summary>
    public static string? Speed(ModelFootprint? model, Func<double> measureBytesPerSecond)
    {
        if (model is not { WeightBytes: >= LeastPredictedBytes } large)
            return null;
        double bytesPerSecond = measureBytesPerSecond();
        double tokens = bytesPerSecond / large.BytesPerToken;
        string rounded = tokens.ToString(tokens < 10 ? "F1" : "F0", CultureInfo.InvariantCulture);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"expect up to about {rounded} tokens/s ({large.BytesPerToken / 1e9:F2} GB a token at {bytesPerSecond / 1e9:F0} GB/s)");
    }

    private static string Gigabytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:F2} GB");
}
