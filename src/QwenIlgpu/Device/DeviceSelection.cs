using System.Globalization;

namespace QwenIlgpu;

/// <summary>Which accelerator a model is loaded onto: written <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</summary>
public readonly record struct DeviceSelection
{
    private const string CudaName = "cuda";

    private DeviceSelection(DeviceKind kind, int ordinal) => (Kind, Ordinal) = (kind, ordinal);

    /// <summary>The first usable CUDA device; without one the CPU, if the weights and some room fit into memory. The default.</summary>
    public static DeviceSelection Auto => default;

    /// <summary>The processor, on as many threads as <see cref="ModelOptions.CpuThreads"/> says: vector code with AVX-512 or AVX2, plain loops elsewhere.</summary>
    public static DeviceSelection Cpu { get; } = new(DeviceKind.Cpu, 0);

    internal DeviceKind Kind { get; }

    /// <summary>Number of the CUDA device in the driver's list; 0 for the others.</summary>
    internal int Ordinal { get; }

    /// <summary>One CUDA device, or an error that says why it cannot be used.</summary>
    /// <param name="ordinal">Its number in the driver's list, from 0.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public static DeviceSelection Cuda(int ordinal = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(ordinal);
        return new DeviceSelection(DeviceKind.Cuda, ordinal);
    }

    /// <summary>Reads <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</summary>
    /// <param name="text">The text.</param>
    /// <exception cref="FormatException">It is none of these.</exception>
    public static DeviceSelection Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return TryParse(text, out DeviceSelection selection)
            ? selection
            : throw new FormatException($"device is '{text}'; it must be auto, cpu, cuda, or cuda:N with N from 0");
    }

    /// <summary>Reads <c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>; false if the text is none of these.</summary>
    /// <param name="text">The text.</param>
    /// <param name="selection">What it means; <see cref="Auto"/> if nothing.</param>
    public static bool TryParse(string? text, out DeviceSelection selection)
    {
        selection = text switch
        {
            "cpu" => Cpu,
            CudaName => Cuda(),
            _ => Auto,
        };
        if (text is "auto" or "cpu" or CudaName)
            return true;
        if (text is null || !text.StartsWith($"{CudaName}:", StringComparison.Ordinal) ||
            !int.TryParse(text.AsSpan(CudaName.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out int ordinal))
        {
            return false;
        }

        selection = Cuda(ordinal);
        return true;
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString() => Kind switch
    {
        DeviceKind.Cpu => "cpu",
        DeviceKind.Cuda => string.Create(CultureInfo.InvariantCulture, $"{CudaName}:{Ordinal}"),
        _ => "auto",
    };
}

/// <summary>The kinds of accelerator that a selection can name.</summary>
internal enum DeviceKind
{
    Auto,
    Cpu,
    Cuda,
}
