using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>One sequence from its first token on; the state, 16/48 heads of 128, is 786,432 floats.</summary>
internal static class GatedDeltaRuleBench
{
    private static readonly DeltaShape Shape = new(16, 48, 128, 128);

    public static KernelBenchmark Decode { get; } =
        new("gated_delta_rule_recurrent", "1 row, 16/48 heads of 128", device => Prepare(device, 1, chunked: false));

    public static KernelBenchmark PrefillRecurrent { get; } =
        new("gated_delta_rule_recurrent", "64 rows, 16/48 heads of 128", device => Prepare(device, 64, chunked: false));

    public static KernelBenchmark PrefillChunked { get; } =
        new("gated_delta_rule_chunked", "64 rows, 16/48 heads of 128", device => Prepare(device, 64, chunked: true));

    public static KernelBenchmark PrefillTwoChunks { get; } =
        new("gated_delta_rule_chunked", "128 rows, 16/48 heads of 128", device => Prepare(device, 128, chunked: true));

    private static PreparedKernel Prepare(BenchDevice device, int rows, bool chunked)
    {
        double[] raw = ToDouble(BenchDevice.RandomFloats(1, rows * Shape.Channels));
        float[] qkv = Array.ConvertAll(QkL2NormReference.Run(raw, Shape.Channels, Shape.KeyHeads, Shape.KeyHeadDim), v => (float)v);
        float[] beta = [.. BenchDevice.RandomFloats(2, rows * Shape.ValueHeads).Select(MathF.Abs)];
        float[] g = [.. BenchDevice.RandomFloats(3, rows * Shape.ValueHeads).Select(v => -MathF.Abs(v))];
        Matrix<float> y = device.Poisoned<float>(rows, Shape.ValueChannels);
        Launch[] launches = Bind(device, rows, chunked, qkv, beta, g, y);
        long states = Shape.StateLength * (long)rows;
        return new PreparedKernel(
            new Launch(launches[0].Name, threads: 1, stream => Array.ForEach(launches, l => l.Run(stream))),
            Bytes: ((2L * Shape.StateLength) + ((long)rows * (Shape.Channels + Shape.ValueChannels))) * sizeof(float),
            Flops: 7 * states,
            () => BenchDevice.RelativeError(
                device.Download(y.Data),
                GatedDeltaRuleReference.Run(ToDouble(qkv), ToDouble(beta), ToDouble(g), Shape, new double[Shape.StateLength])),
            Tolerance: chunked ? 1e-5 : 2e-6);
    }

    private static Launch[] Bind(BenchDevice device, int rows, bool chunked, float[] qkv, float[] beta, float[] g, Matrix<float> y)
    {
        int[] positions = [.. Enumerable.Range(0, rows)];
        Matrix<float> qkvRows = device.Upload(qkv, rows, Shape.Channels);
        Matrix<float> betaRows = device.Upload(beta, rows, Shape.ValueHeads);
        Matrix<float> gRows = device.Upload(g, rows, Shape.ValueHeads);
        Matrix<float> state = device.Poisoned<float>(1, Shape.StateLength);
        ArrayView<int> firstRow = device.Upload<int>([0, rows]);
        ArrayView<int> stateSlot = device.Upload<int>([0]);
        if (!chunked)
        {
            return
            [
                GatedDeltaRule.BindRecurrent(
                    device.Loader, qkvRows, betaRows, gRows, Shape, state, firstRow, device.Upload(positions), stateSlot, y),
            ];
        }

        int capacity = ChunkList.MaxChunks(rows, 1);
        var chunkFirstRow = new int[capacity];
        var chunkRows = new int[capacity];
        var firstChunk = new int[2];
        ChunkList.Build([0, rows], positions, chunkFirstRow, chunkRows, firstChunk);
        return GatedDeltaRule.BindChunked(
            device.Loader,
            qkvRows,
            betaRows,
            gRows,
            Shape,
            state,
            firstRow,
            device.Upload(positions),
            stateSlot,
            new ChunkList(device.Upload(chunkFirstRow), device.Upload(chunkRows), device.Upload(firstChunk)),
            new ChunkScratch(Shape, device.Poisoned<float>(rows, ChunkScratch.Columns(Shape))),
            y);
    }

    private static double[] ToDouble(float[] values) => Array.ConvertAll(values, v => (double)v);
}
