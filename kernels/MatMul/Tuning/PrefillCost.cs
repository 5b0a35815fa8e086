using System.Collections.Immutable;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Time of a prefill matmul as the kernel's own counts predict it: what a block of 64 k asks of a multiprocessor, waves of groups, and
/// memory for the whole. Good for choosing among tiles where nobody has measured, and for a figure to measure against, which it flatters:
/// of what a block asks only the most counts, as if all else hid behind it.
/// </summary>
internal static class PrefillCost
{
    // Eight tokens' products of a block are four dependent mma of about 33 clocks, those of two tiles of tokens at a time; a block begins
    // with a barrier behind which every warp waits for its first fragments.
    private const double TileLatencyClocks = 4 * 33 / 2.0;
    private const double BarrierClocks = 100;

    // First weights and x from memory at the start; launch and the last stores' way, for the whole.
    private const double StartClocks = 1500;
    private const double LaunchMicroseconds = 3;

    private const int Schedulers = 4;
    private const int ProductFlops = 4096;
    private const int BandTiles = 16;

    /// <summary>Of m tokens on a device with the rates of its architecture and so many multiprocessors.</summary>
    public static PrefillPrediction Predict(PrefillRates rates, int multiprocessors, PrefillShape shape, int m, PrefillTile tile)
    {
        var plan = PrefillPlan.Of(tile, m, shape);
        int groups = plan.Groups * plan.Cut.Splits;
        int resident = ResidentGroups(tile);
        int wave = multiprocessors * resident;
        int rest = groups % wave;
        double clocks = groups / wave * Round(resident);
        if (rest > 0)
            clocks += Round((rest + multiprocessors - 1) / multiprocessors);

        // Weights go by once for each band of tokens; where bands follow one another they have left L2.
        double rows = shape.Rows.Sum(n => (double)n);
        double outputs = shape.SwiGlu ? rows / 2 : rows;
        double weightBytes = rows * shape.K * PrefillFormats.BytesOf(shape.Format);
        double bytes = (weightBytes * ((plan.TokenTiles + BandTiles - 1) / BandTiles)) + (m * ((2.0 * shape.K) + (4 * outputs)));
        double memory = bytes / rates.ReachedBytesPerSecond * 1e6;
        return new PrefillPrediction(
            Math.Max(clocks / rates.Megahertz, memory) + LaunchMicroseconds, (groups + wave - 1) / wave, 2.0 * m * shape.K * rows, bytes);

        // Groups side by side on a multiprocessor, from their start to their end.
        double Round(int side)
        {
            int tokens = PrefillTiles.TokensOf(tile);
            int warps = PrefillTiles.WarpsOf(tile);
            int tokenTiles = tokens / 8;
            double products = warps * 2 * tokenTiles * 4 * ProductFlops / (rates.FlopsPerClock * rates.TensorShare);
            double issue = warps * InstructionsOf(shape.Format, tokenTiles) / Schedulers;
            double read = ((32 * warps * 64 * PrefillFormats.BytesOf(shape.Format)) + (tokens * 64 * 2)) / PrefillRates.L2BytesPerClock;
            double block = Math.Max(side * Math.Max(products, Math.Max(issue, read)), tokenTiles * TileLatencyClocks) + BarrierClocks;
            double stored = (plan.Cut.Splits > 1 ? 3 : 1) * 4.0 * Math.Min(m, tokens) * 32 * warps / (shape.SwiGlu ? 2 : 1);
            return (plan.Cut.RunBlocks * block) + StartClocks + (side * stored / PrefillRates.L2BytesPerClock);
        }
    }

    /// <summary>The tile with the least predicted time.</summary>
    public static PrefillTile BestTile(PrefillRates rates, int multiprocessors, PrefillShape shape, int m) =>
        PrefillTiles.Of(shape.Format).MinBy(t => Predict(rates, multiprocessors, shape, m, t).Microseconds);

    // By registers: 170 to 255 a thread, 128 to 172 with few tokens.
    private static int ResidentGroups(PrefillTile tile) => tile switch
    {
        PrefillTile.Wide => 1,
        PrefillTile.Small => 2,
        _ => 3,
    };

    // Of a warp and a block of 64 k, within 5 % of what the loops disassembled for sm_90 have: 361 for wide INT4, of which 64 are products.
    private static double InstructionsOf(PrefillFormat format, int tokenTiles) => format switch
    {
        PrefillFormat.Int4 => 195 + (21 * tokenTiles),
        PrefillFormat.Int4Half => 160 + (41 * tokenTiles),
        PrefillFormat.Fp4 => 310 + (21 * tokenTiles),
        PrefillFormat.Int8 => 140 + (41 * tokenTiles),
        PrefillFormat.Fp8 => 235 + (26 * tokenTiles),
        _ => 145 + (45 * tokenTiles),
    };
}

/// <summary>What a prefill matmul is predicted to take.</summary>
/// <param name="Microseconds">Time of its launch.</param>
/// <param name="Waves">Rounds of as many groups as the device holds at once.</param>
/// <param name="Flops">Multiplications and additions of the products.</param>
/// <param name="Bytes">Least bytes from and to memory.</param>
internal sealed record PrefillPrediction(double Microseconds, int Waves, double Flops, double Bytes)
{
    public double TeraflopsPerSecond => Flops / Microseconds / 1e6;
}

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
