using System.Collections.Immutable;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What a multiprocessor of an architecture gets through, of one device whose figures are published. Tensor cores reach with mma.sync the
/// share of the dense 16-bit peak that others report; L2 hands each multiprocessor about 22 bytes a clock when all of them read; of the
/// memory's bandwidth 92 % are counted.
/// </summary>
/// <param name="Architecture">As its table's file is called.</param>
/// <param name="Device">The device that the figures are of.</param>
/// <param name="Multiprocessors">Its multiprocessors.</param>
/// <param name="Megahertz">The clock at which it has its published peak.</param>
/// <param name="FlopsPerClock">Dense 16-bit FLOP a clock and multiprocessor, sums in f32.</param>
/// <param name="TensorShare">What of these mma.sync reaches.</param>
/// <param name="MemoryBytesPerSecond">Published bandwidth.</param>
internal sealed record PrefillRates(
    string Architecture, string Device, int Multiprocessors, double Megahertz, double FlopsPerClock, double TensorShare,
    double MemoryBytesPerSecond)
{
    /// <summary>Bytes a clock from L2 to a multiprocessor.</summary>
    public const double L2BytesPerClock = 22;

    private const double MemoryShare = 0.92;

    /// <summary>The architectures that have a table.</summary>
    public static ImmutableArray<PrefillRates> All { get; } =
    [
        new("sm_80", "A100 SXM 80 GB", 108, 1410, 2048, 0.85, 2.039e12),        // 312 TFLOP/s
        new("sm_86", "GeForce RTX 3090", 82, 1695, 512, 0.9, 0.936e12),         // 71 TFLOP/s: half rate with f32 sums
        new("sm_89", "GeForce RTX 4090", 128, 2520, 512, 0.9, 1.008e12),        // 165 TFLOP/s: the same
        new("sm_90", "H100 SXM", 132, 1830, 4096, 0.62, 3.35e12),               // 989 TFLOP/s, of which wgmma alone gets more
    ];

    /// <summary>Dense peak of the device in FLOP/s.</summary>
    public double PeakFlops => Multiprocessors * Megahertz * 1e6 * FlopsPerClock;

    /// <summary>Bytes of memory that it reads or writes in a second.</summary>
    public double ReachedBytesPerSecond => MemoryShare * MemoryBytesPerSecond;

    /// <summary>Of the architecture, or of the last before it that is known; of the first where there is none.</summary>
    public static PrefillRates Of(CudaArchitecture architecture) => architecture.Major >= 10
        ? All[^1]
        : All.LastOrDefault(r => string.CompareOrdinal(r.Architecture, NameOf(architecture)) <= 0) ?? All[0];

    public static string NameOf(CudaArchitecture architecture) => $"sm_{architecture.Major}{architecture.Minor}";
}
