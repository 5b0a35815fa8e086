using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.Logging;

namespace QwenIlgpu;

/// <summary>How a model is loaded.</summary>
/// <example>
/// On two threads of the processor, in INT4:
/// <code>
/// var options = new ModelOptions { Device = DeviceSelection.Cpu, CpuThreads = 2, Quantization = WeightQuantization.Int4 };
/// </code>
/// </example>
public sealed record ModelOptions
{
    /// <summary>The accelerator that holds the weights. Default <see cref="DeviceSelection.Auto"/>.</summary>
    public DeviceSelection Device { get; init; } = DeviceSelection.Auto;

    /// <summary>Threads that a model on the CPU runs on, up to 256; 0 takes one for each physical core. Other devices ignore it. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The value is below 0 or above 256.</exception>
    public int CpuThreads
    {
        get;
        init => field = value is >= 0 and <= ComputeDevice.MaxCpuThreads
            ? value
            : throw new ArgumentOutOfRangeException(nameof(value), value, $"{nameof(CpuThreads)} must be from 0 to {ComputeDevice.MaxCpuThreads}");
    }

    /// <summary>What is done with weights that the checkpoint holds in 16 or 32 bits. Default: nothing.</summary>
    public WeightQuantization Quantization { get; init; } = WeightQuantization.None;

    /// <summary>What is done with the embedding table and the head that the checkpoint holds in 16 or 32 bits. Default: nothing.</summary>
    public HeadQuantization HeadQuantization { get; init; } = HeadQuantization.None;

    /// <summary>Stretches the context beyond the one that the model was trained for; null takes what <c>config.json</c> says. Default: null.</summary>
    public RopeScaling? RopeScaling { get; init; }

    /// <summary>
    /// Chat template to render messages with: a Jinja file, else a name of those that the checkpoint brings, else <c>qwen3.6</c>, which is
    /// built in. Null takes the checkpoint's own, and the built-in one where it has none. Default: null.
    /// </summary>
    public string? ChatTemplate { get; init; }

    /// <summary>Where loading and the engine write what they do; null writes nothing.</summary>
    public ILoggerFactory? LoggerFactory { get; init; }

    /// <summary>What the caller uses of the checkpoint besides its weights, all of which must be right before they are loaded; null: it has not said.</summary>
    internal ModelParts? UsedParts { get; init; }

    /// <summary>
    /// Told of the model before anything is allocated, its weights only measured, by whoever knows what else will be: throws where there is no
    /// room for all of it. Null asks for the weights alone.
    /// </summary>
    internal Action<QwenModel>? RequireRoom { get; init; }

    /// <summary>Where kernels compiled for a GPU are kept between runs; null keeps none.</summary>
    internal string? KernelCacheDirectory { get; init; } = QwenIlgpu.KernelCacheDirectory.OfPlatform();

    /// <summary>On the CPU, run kernels as their shares where the machine has the vectors for it; if not, as the loops that define them: for tests.</summary>
    internal bool UsesShares { get; init; } = true;
}

/// <summary>Quantisation on load.</summary>
public enum WeightQuantization
{
    /// <summary>Weights stay in the encoding of the checkpoint.</summary>
    None,

    /// <summary>
    /// The linear layers inside the decoder layers become INT4, symmetric, round to nearest, groups of 128; embeddings, head,
    /// norms and the delta gates' projections stay as they are.
    /// </summary>
    Int4,
}

/// <summary>Quantisation on load of the embedding table (`embed_tokens`) and the head (`lm_head`).</summary>
public enum HeadQuantization
{
    /// <summary>They stay in the encoding of the checkpoint.</summary>
    None,

    /// <summary>Both become INT8, symmetric, round to nearest, groups of 128: half the bytes of bf16.</summary>
    [SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "It is the format's name, beside Int4.")]
    Int8,
}

/// <summary>How far loading has come.</summary>
/// <param name="Stage">What is being done, in a few words.</param>
/// <param name="LoadedBytes">Weight bytes read so far.</param>
/// <param name="TotalBytes">Weight bytes to read.</param>
public readonly record struct LoadProgress(string Stage, long LoadedBytes, long TotalBytes);
