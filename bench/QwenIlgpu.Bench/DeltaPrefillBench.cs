using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>A DeltaNet layer of the 27B between its projections, 8,192 rows of one prompt: all launches, and each alone.</summary>
internal static class DeltaPrefillBench
{
    private const int Rows = 8192;
    private const int CheckedRows = 192;
    private const int RingRows = 8;

    private static readonly DeltaShape Shape = new(16, 48, 128, 128);

    public static KernelBenchmark All { get; } =
        new("delta_prefill", "8192 rows, 16/48 heads of 128", device => Prepare(device, null), NeedsWarps: true);

    public static KernelBenchmark Inputs { get; } =
        new("delta_prefill_inputs", "8192 rows, 16/48 heads of 128", device => Prepare(device, 0), NeedsWarps: true);

    public static KernelBenchmark Chunks { get; } =
        new("delta_prefill_prepare", "8192 rows, 16/48 heads of 128", device => Prepare(device, 1), NeedsWarps: true);

    public static KernelBenchmark Scan { get; } =
        new("delta_prefill_scan", "8192 rows, 16/48 heads of 128", device => Prepare(device, 2), NeedsWarps: true);

    private static PreparedKernel Prepare(BenchDevice device, int? part)
    {
        float[] mixed = Seeded.Floats(1, Rows * Shape.Channels, 2);
        float[] b = Seeded.Floats(3, Rows * Shape.ValueHeads, 2);
        float[] a = Seeded.Floats(4, Rows * Shape.ValueHeads, 2);
        float[] conv1d = Seeded.Floats(5, Shape.Channels * DeltaParameters.Taps, 0.5f);
        float[] aLog = Seeded.Floats(6, Shape.ValueHeads);
        float[] dtBias = Seeded.Floats(7, Shape.ValueHeads);
        int[] positions = [.. Enumerable.Range(0, Rows)];
        int capacity = ChunkList.MaxChunks(Rows, 1);
        var rows = new ChunkedRows(device.UploadRows([0, Rows], positions, [0]), device.UploadChunks([0, Rows], positions, capacity));
        Matrix<float> y = device.Poisoned<float>(Rows, Shape.ValueChannels);
        Matrix<float> state = device.Poisoned<float>(1, Shape.StateLength);
        Launch[] launches = DeltaPrefill.Bind(
            device.Loader,
            Shape,
            new DeltaProjections(
                device.Upload(mixed, Rows, Shape.Channels),
                y,
                device.Upload(b, Rows, Shape.ValueHeads),
                device.Upload(a, Rows, Shape.ValueHeads)),
            new DeltaParameters(
                device.Upload(conv1d, Shape.Channels, DeltaParameters.Taps), device.Upload(aLog), device.Upload(dtBias),
                device.Upload<float>([0]), 0),
            new DeltaSlots(state, device.Poisoned<float>(1, RingRows * Shape.Channels)),
            rows,
            new DeltaPrefillScratch(Shape, Rows, capacity, device.Poisoned<float>(DeltaPrefillScratch.Floats(Shape, Rows, capacity))),
            y);
        Array.ForEach(launches, l => l.Run(device.Stream));
        return new PreparedKernel(
            part is { } one
                ? launches[one]
                : new Launch("delta_prefill", threads: 1, stream => Array.ForEach(launches, l => l.Run(stream))),
            Bytes(part, capacity),
            Flops(part),
            () => Difference.Relative(
                device.Download(y.Data.SubView(0, CheckedRows * Shape.ValueChannels)), Reference(mixed, b, a, conv1d, aLog, dtBias)),
            Tolerance: 5e-3);
    }

    // What each launch must read and write once.
    private static long Bytes(int? part, int capacity)
    {
        long projections = (long)Rows * Shape.Channels * sizeof(float);
        long inputs = (long)Rows * Shape.Channels * sizeof(ushort);
        long keys = (long)Rows * 2 * Shape.KeyChannels * sizeof(ushort);
        long chunks = (long)capacity * Shape.ValueHeads * ((2 * DeltaPrefillScratch.TriangleWords) + DeltaPrefillScratch.DecayWords) * 16;
        long outputs = (long)Rows * Shape.ValueChannels * sizeof(float);
        return part switch
        {
            null => projections + outputs,
            0 => projections + inputs,
            1 => keys + chunks,
            _ => inputs + chunks + outputs,
        };
    }

    // Products alone: K Kᵀ, Q Kᵀ of each key head and the inverse; with S: K, Q and the update, with T and P.
    private static long Flops(int? part)
    {
        const int Chunk = ChunkList.ChunkRows;
        long prepare = 2L * Rows * ((2 * Shape.KeyHeads * Chunk * Shape.KeyHeadDim) + (Shape.ValueHeads * Chunk * Chunk / 3));
        long scan = 2L * Rows * Shape.ValueHeads * Shape.ValueHeadDim * ((3 * Shape.KeyHeadDim) + (2 * Chunk));
        return part switch
        {
            null => prepare + scan,
            0 => 8L * Rows * Shape.Channels,
            1 => prepare,
            _ => scan,
        };
    }

    // The first rows, which later ones do not change.
    private static double[] Reference(float[] mixed, float[] b, float[] a, float[] conv1d, float[] aLog, float[] dtBias)
    {
        double[] convolved = CausalConv1dReference.Run(Seeded.ToDouble(mixed[..(CheckedRows * Shape.Channels)]), Seeded.ToDouble(conv1d), Shape.Channels);
        (double[] beta, double[] g) = DeltaGatesReference.Run(
            Seeded.ToDouble(b[..(CheckedRows * Shape.ValueHeads)]), Seeded.ToDouble(a[..(CheckedRows * Shape.ValueHeads)]), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias));
        return GatedDeltaRuleReference.Run(
            QkL2NormReference.Run(convolved, Shape.Channels, Shape.KeyHeads, Shape.KeyHeadDim), beta, g, Shape,
            new double[Shape.StateLength]);
    }
}
