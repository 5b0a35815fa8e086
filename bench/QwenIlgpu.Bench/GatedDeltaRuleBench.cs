using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>
/// One sequence: decode in slot after slot, as layer after layer of a model has states of its own, more than any cache holds; prefill from
/// its first token on. A state of 16/48 heads of 128 is 786,432 floats, one of 16/16 heads 262,144.
/// </summary>
internal static class GatedDeltaRuleBench
{
    private const long LeastFloats = 64L << 20;

    private static readonly DeltaShape Large = new(16, 48, 128, 128);
    private static readonly DeltaShape Small = new(16, 16, 128, 128);

    public static KernelBenchmark Decode { get; } =
        new("gated_delta_rule_recurrent", "1 row, 16/48 heads of 128", device => Prepare(device, Large, 1, chunked: false));

    public static KernelBenchmark DecodeSmall { get; } =
        new("gated_delta_rule_recurrent", "1 row, 16/16 heads of 128", device => Prepare(device, Small, 1, chunked: false));

    public static KernelBenchmark PrefillRecurrent { get; } =
        new("gated_delta_rule_recurrent", "64 rows, 16/48 heads of 128", device => Prepare(device, Large, 64, chunked: false));

    public static KernelBenchmark PrefillChunked { get; } =
        new("gated_delta_rule_chunked", "64 rows, 16/48 heads of 128", device => Prepare(device, Large, 64, chunked: true));

    public static KernelBenchmark PrefillTwoChunks { get; } =
        new("gated_delta_rule_chunked", "128 rows, 16/48 heads of 128", device => Prepare(device, Large, 128, chunked: true));

    public static KernelBenchmark PrefillRecurrentSmall { get; } =
        new("gated_delta_rule_recurrent", "64 rows, 16/16 heads of 128", device => Prepare(device, Small, 64, chunked: false));

    public static KernelBenchmark PrefillChunkedSmall { get; } =
        new("gated_delta_rule_chunked", "64 rows, 16/16 heads of 128", device => Prepare(device, Small, 64, chunked: true));

    public static KernelBenchmark PrefillRecurrentLong { get; } =
        new("gated_delta_rule_recurrent", "512 rows, 16/16 heads of 128", device => Prepare(device, Small, 512, chunked: false));

    public static KernelBenchmark PrefillChunkedLong { get; } =
        new("gated_delta_rule_chunked", "512 rows, 16/16 heads of 128", device => Prepare(device, Small, 512, chunked: true));

    public static KernelBenchmark DecodeF16 { get; } = new(
        "gated_delta_rule_recurrent", "1 row, 16/48 heads of 128, f16 state",
        device => Prepare(device, Large, 1, chunked: false, DeltaStateFormat.F16));

    public static KernelBenchmark DecodeBf16 { get; } = new(
        "gated_delta_rule_recurrent", "1 row, 16/48 heads of 128, bf16 state",
        device => Prepare(device, Large, 1, chunked: false, DeltaStateFormat.Bf16));

    public static KernelBenchmark PrefillRecurrentBf16 { get; } = new(
        "gated_delta_rule_recurrent", "64 rows, 16/48 heads of 128, bf16 state",
        device => Prepare(device, Large, 64, chunked: false, DeltaStateFormat.Bf16));

    private static PreparedKernel Prepare(
        BenchDevice device, DeltaShape shape, int rows, bool chunked, DeltaStateFormat format = DeltaStateFormat.F32)
    {
        int slots = rows == 1 ? (int)(LeastFloats / shape.StateLength) : 1;
        int position = rows == 1 ? 1 : 0;
        double[] raw = Seeded.ToDouble(Seeded.Floats(1, rows * shape.Channels));
        float[] qkv = Array.ConvertAll(QkL2NormReference.Run(raw, shape.Channels, shape.KeyHeads, shape.KeyHeadDim), v => (float)v);
        float[] beta = [.. Seeded.Floats(2, rows * shape.ValueHeads).Select(MathF.Abs)];
        float[] g = [.. Seeded.Floats(3, rows * shape.ValueHeads).Select(v => -MathF.Abs(v))];
        float[] entered = position == 0 ? new float[shape.StateLength] : Seeded.Floats(4, shape.StateLength);
        DeltaStates states = Upload(device, format, [.. Enumerable.Repeat(entered, slots).SelectMany(s => s)], slots);
        Matrix<float> y = device.Poisoned<float>(rows, shape.ValueChannels);
        Launch[][] turns =
        [
            .. Enumerable.Range(0, slots).Select(slot => Bind(
                device, shape, [.. Enumerable.Range(position, rows)], slot, chunked,
                new DeltaRuleInputs(
                    device.Upload(qkv, rows, shape.Channels), device.Upload(beta, rows, shape.ValueHeads),
                    device.Upload(g, rows, shape.ValueHeads)),
                states, y)),
        ];
        int next = 0;
        return new PreparedKernel(
            new Launch(turns[0][0].Name, threads: 1, stream => Array.ForEach(turns[next++ % slots], l => l.Run(stream))),
            Bytes: (2 * states.SlotBytes) + ((long)rows * (shape.Channels + shape.ValueChannels) * sizeof(float)),
            Flops: 7L * rows * shape.StateLength,
            () => Difference.Relative(
                device.Download(y.Data),
                GatedDeltaRuleReference.Run(Seeded.ToDouble(qkv), Seeded.ToDouble(beta), Seeded.ToDouble(g), shape, Seeded.ToDouble(entered))),
            Tolerance: format switch { DeltaStateFormat.F16 => 5e-3, DeltaStateFormat.Bf16 => 4e-2, _ => chunked ? 1e-5 : 2e-6 });
    }

    private static DeltaStates Upload(BenchDevice device, DeltaStateFormat format, float[] values, int slots)
    {
        int columns = values.Length / slots;
        return format == DeltaStateFormat.F32
            ? device.Upload(values, slots, columns)
            : new DeltaStates(
                device.Upload(Array.ConvertAll(values, format == DeltaStateFormat.F16 ? (Converter<float, ushort>)F16.FromFloat : Bf16.FromFloat))
                    .Cast<byte>(),
                format, slots, columns);
    }

    private static Launch[] Bind(
        BenchDevice device, DeltaShape shape, int[] positions, int slot, bool chunked, DeltaRuleInputs inputs, DeltaStates state,
        Matrix<float> y)
    {
        int[] firstRow = [0, positions.Length];
        int capacity = ChunkList.MaxChunks(positions.Length, 1);
        var rows = new ChunkedRows(device.UploadRows(firstRow, positions, [slot]), device.UploadChunks(firstRow, positions, capacity));
        if (!chunked)
        {
            Matrix<float> unrounded =
                GatedDeltaRule.TakesUnrounded(device.Loader, shape, state.Format) ? device.Poisoned<float>(1, shape.StateLength) : default;
            return [GatedDeltaRule.BindRecurrent(device.Loader, shape, inputs, state, rows, y, unrounded)];
        }

        var scratch = new ChunkScratch(shape, device.Poisoned<float>(positions.Length, ChunkScratch.Columns(shape)));
        return GatedDeltaRule.BindChunked(device.Loader, shape, inputs, state, rows, scratch, y);
    }
}
