using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// The slots of one layer on a device: states, conv rings and, where drafts are verified, the stash; all NaN until a step or a test
/// writes them. Steps are bound for one layer's weights.
/// </summary>
internal sealed class DeltaStepSlots
{
    private readonly TestDevice device;
    private readonly DeltaShape shape;
    private readonly DeltaStepSequence layer;
    private readonly DeltaStash? stash;
    private readonly int ringRows;

    public DeltaStepSlots(
        TestDevice device, DeltaShape shape, DeltaStepSequence layer, int slots, int ringRows = 11,
        DeltaStateFormat format = DeltaStateFormat.F32, bool drafts = false)
    {
        (this.device, this.shape, this.layer, this.ringRows) = (device, shape, layer, ringRows);
        States = DeltaFixture.Poisoned(device, format, slots, shape);
        Ring = device.Poisoned<float>(slots, ringRows * shape.Channels);
        if (drafts)
            stash = new DeltaStash(device.Poisoned<float>(slots, DeltaStash.Columns(shape)), device.Upload(new int[slots]));
    }

    public DeltaStates States { get; }

    public Matrix<float> Ring { get; }

    /// <summary>Puts a sequence into a slot as it is before row start: its state and the three rows before.</summary>
    public void Enter(int slot, DeltaStepSequence sequence, int start)
    {
        if (States.Format == DeltaStateFormat.F32)
            Write(States.Slot<float>(slot), sequence.State);
        else
            Write(States.Slot<ushort>(slot), DeltaFixture.Bits(States.Format, sequence.State));
        for (int position = Math.Max(0, start - 3); position < start; position++)
        {
            Write(
                Ring.Row(slot).SubView(position % ringRows * shape.Channels, shape.Channels),
                DeltaStepSequence.Slice(sequence.Mixed, shape.Channels, position, 1));
        }
    }

    public void Accept(int slot, int rows) => Write(stash!.Value.Accepted.SubView(slot, 1), [rows]);

    /// <summary>Two value columns of every head's float state in each other's place.</summary>
    public void ExchangeStateColumns(int slot, int left, int right)
    {
        for (int head = 0; head < shape.ValueHeads; head++)
        {
            int first = head * shape.ValueHeadDim;
            Exchange(States.Slot<float>(slot), shape.KeyHeadDim, first + left, first + right);
        }
    }

    /// <summary>Two stashed rows of every head in each other's place.</summary>
    public void ExchangeStashedRows(int slot, int left, int right)
    {
        int length = DeltaStash.Columns(shape) / (shape.ValueHeads * DeltaStep.MaxRows);
        for (int head = 0; head < shape.ValueHeads; head++)
        {
            int first = head * DeltaStep.MaxRows;
            Exchange(stash!.Value.Rows.Row(slot), length, first + left, first + right);
        }
    }

    /// <summary>Runs one step; returns its rows of y.</summary>
    public float[] Step(params (int Slot, DeltaStepSequence Sequence, int Start, int Rows)[] parts)
    {
        var step = new PackedStep([.. parts.Select(p => (p.Slot, p.Start, p.Rows))]);
        Matrix<float> Upload(Func<DeltaStepSequence, float[]> of, int width) => device.Upload<float>(
            [.. parts.SelectMany(p => DeltaStepSequence.Slice(of(p.Sequence), width, p.Start, p.Rows))], step.Rows, width);
        Matrix<float> y = device.Poisoned<float>(step.Rows, shape.ValueChannels);
        var projections = new DeltaProjections(
            Upload(s => s.Mixed, shape.Channels), Upload(s => s.Z, shape.ValueChannels), Upload(s => s.B, shape.ValueHeads), Upload(s => s.A, shape.ValueHeads));
        DeltaParameters parameters = Parameters();
        device.Run(DeltaStep.Bind(device.Loader, shape, projections, parameters, new DeltaSlots(States, Ring), step.On(device), y, stash));
        return device.Download(y);
    }

    /// <summary>The same rows of one sequence by the portable kernels; a whole prompt by the chunked form.</summary>
    public float[] StepPortable(int slot, DeltaStepSequence sequence, int start, int rows, bool chunked)
    {
        var step = new PackedStep((slot, start, rows));
        Matrix<float> Upload(float[] values, int width) => device.Upload(DeltaStepSequence.Slice(values, width, start, rows), rows, width);
        DeltaParameters parameters = Parameters();
        Matrix<float> qkv = device.Poisoned<float>(rows, shape.Channels);
        Matrix<float> beta = device.Poisoned<float>(rows, shape.ValueHeads);
        Matrix<float> g = device.Poisoned<float>(rows, shape.ValueHeads);
        Matrix<float> o = device.Poisoned<float>(rows, shape.ValueChannels);
        Matrix<float> y = device.Poisoned<float>(rows, shape.ValueChannels);
        device.Run(
        [
            CausalConv1d.Bind(
                device.Loader, Upload(sequence.Mixed, shape.Channels), parameters.Conv1d, Ring, step.On(device), qkv),
            DeltaGates.Bind(
                device.Loader, Upload(sequence.B, shape.ValueHeads), Upload(sequence.A, shape.ValueHeads), parameters.ALog, parameters.DtBias, beta, g),
            QkL2Norm.Bind(device.Loader, qkv, shape.KeyHeads, shape.KeyHeadDim),
            .. DeltaFixture.Bind(device, chunked, shape, step, qkv, beta, g, States, o),
            GatedRmsNorm.Bind(
                device.Loader, o, Upload(sequence.Z, shape.ValueChannels), parameters.Norm, shape.ValueHeadDim, y, parameters.Eps),
        ]);
        return device.Download(y);
    }

    /// <summary>A slot's state as floats.</summary>
    public float[] State(int slot) => DeltaFixture.State(device, States, slot);

    /// <summary>The carried row of a position.</summary>
    public float[] Carried(int slot, int position) =>
        device.Download(Ring.Row(slot).SubView(position % ringRows * shape.Channels, shape.Channels));

    private DeltaParameters Parameters() => new(
        device.Upload(layer.Conv1d, shape.Channels, 4), device.Upload(layer.ALog), device.Upload(layer.DtBias), device.Upload(layer.Norm),
        DeltaStepSequence.Eps);

    private void Exchange(ArrayView<float> view, int length, int left, int right)
    {
        float[] row = device.Download(view.SubView(left * length, length));
        Write(view.SubView(left * length, length), device.Download(view.SubView(right * length, length)));
        Write(view.SubView(right * length, length), row);
    }

    private void Write<T>(ArrayView<T> destination, T[] values)
        where T : unmanaged
    {
        destination.CopyFromCPU(device.Stream, values);
        device.Stream.Synchronize();
    }
}
