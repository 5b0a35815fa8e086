using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>One sequence in the middle; 16/48 heads of 128, a state of 786,432 numbers read and written.</summary>
internal static class DeltaStepBench
{
    private const int Start = 4;
    private const float Eps = 1e-6f;

    private static readonly DeltaShape Shape = new(16, 48, 128, 128);

    public static KernelBenchmark Decode { get; } =
        new("delta_step", "1 row, 16/48 heads of 128, f32 state", device => Prepare<float>(device, 1, DeltaStateFormat.F32, v => v), NeedsWarps: true);

    public static KernelBenchmark DecodeF16 { get; } =
        new("delta_step", "1 row, 16/48 heads of 128, f16 state", device => Prepare(device, 1, DeltaStateFormat.F16, F16.FromFloat), NeedsWarps: true);

    public static KernelBenchmark DecodeBf16 { get; } =
        new("delta_step", "1 row, 16/48 heads of 128, bf16 state", device => Prepare(device, 1, DeltaStateFormat.Bf16, Bf16.FromFloat), NeedsWarps: true);

    public static KernelBenchmark FourRows { get; } =
        new("delta_step", "4 rows, 16/48 heads of 128, f32 state", device => Prepare<float>(device, 4, DeltaStateFormat.F32, v => v), NeedsWarps: true);

    private static PreparedKernel Prepare<T>(BenchDevice device, int rows, DeltaStateFormat format, Converter<float, T> stored)
        where T : unmanaged
    {
        int all = Start + rows;
        float[] mixed = Seeded.Floats(1, all * Shape.Channels, 2);
        float[] z = Seeded.Floats(2, all * Shape.ValueChannels, 2);
        float[] b = Seeded.Floats(3, all * Shape.ValueHeads, 2);
        float[] a = Seeded.Floats(4, all * Shape.ValueHeads, 2);
        float[] conv1d = Seeded.Floats(5, Shape.Channels * DeltaParameters.Taps, 0.5f);
        float[] aLog = Seeded.Floats(6, Shape.ValueHeads);
        float[] dtBias = Seeded.Floats(7, Shape.ValueHeads);
        float[] norm = Seeded.Floats(8, Shape.ValueHeadDim);
        float[] state = Seeded.Floats(9, Shape.StateLength);

        int ringRows = DeltaStep.RingRows(rows);
        var ring = new float[ringRows * Shape.Channels];
        for (int position = Start - 3; position < Start; position++)
            Array.Copy(mixed, position * Shape.Channels, ring, position % ringRows * Shape.Channels, Shape.Channels);

        Matrix<float> Rows(float[] values, int width) => device.Upload(values[(Start * width)..], rows, width);
        var states = new DeltaStates(
            device.Upload(Array.ConvertAll(state, stored), 1, Shape.StateLength).Data.Cast<byte>(), format, 1, Shape.StateLength);
        Matrix<float> y = device.Poisoned<float>(rows, Shape.ValueChannels);
        Launch launch = DeltaStep.Bind(
            device.Loader,
            Shape,
            new DeltaProjections(
                Rows(mixed, Shape.Channels), Rows(z, Shape.ValueChannels), Rows(b, Shape.ValueHeads), Rows(a, Shape.ValueHeads)),
            new DeltaParameters(
                device.Upload(conv1d, Shape.Channels, DeltaParameters.Taps), device.Upload(aLog), device.Upload(dtBias), device.Upload(norm), Eps),
            new DeltaSlots(states, device.Upload(ring, 1, ring.Length)),
            device.UploadRows([0, rows], [.. Enumerable.Range(Start, rows)], [0]),
            y);
        var inputs = new DeltaStepReferenceInputs(
            Seeded.ToDouble(mixed), Seeded.ToDouble(z), Seeded.ToDouble(b), Seeded.ToDouble(a), Seeded.ToDouble(conv1d), Seeded.ToDouble(aLog), Seeded.ToDouble(dtBias), Seeded.ToDouble(norm), Eps);
        return new PreparedKernel(
            launch,
            Bytes: (2 * states.SlotBytes) + ((long)rows * (Shape.Channels + (2 * Shape.ValueChannels)) * sizeof(float)),
            Flops: 7L * Shape.StateLength * rows,
            () => Difference.Relative(device.Download(y.Data), DeltaStepReference.Run(inputs, Shape, Start, Seeded.ToDouble(state))),
            Tolerance: format switch { DeltaStateFormat.F32 => 1e-5, DeltaStateFormat.F16 => 5e-3, _ => 4e-2 });
    }
}
