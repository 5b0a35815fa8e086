using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The operations a model records with: each has a shape rule and its nodes, of the kernels that suit the device and the shape. The
/// kernels' own host side checks the operands again when the graph is bound.
/// </summary>
internal sealed partial class Ops(
    OpGraph graph, KernelLoader loader, StepShape shape, StepInputs inputs, ModelState state, SamplingState sampling, ArrayView<int> tickets,
    RecordOptions options)
{
    private readonly StepFields fields = new(shape, state.DeltaLayerCount);
    private readonly PagedRows pagedRows = inputs.PagedRows(new StepFields(shape, state.DeltaLayerCount), state.PageTable);
    private readonly ChunkedRows slotRows = inputs.ChunkedRows(new StepFields(shape, state.DeltaLayerCount));
    private readonly Dictionary<NormedRows, Tensor> writtenRows = [];
    private readonly TensorRole residualRole = options.KeepsResiduals ? TensorRole.Output : TensorRole.Activation;

    // A GPU goes through kernels of warps and tensor cores that do several operations at once; everything else through the portable ones.
    private readonly bool fusesDecode = loader.RunsWarpKernels && shape.Kind == StepKind.Decode;
    private readonly bool fusesPrefill = loader.RunsWarpKernels && shape.Kind == StepKind.Prefill;

    public StepShape Shape { get; } = shape;

    public T Scoped<T>(LayerScope scope, Func<T> record) => graph.Scoped(scope, record);

    /// <summary>Rows of the table for the step's token ids begin the residual stream: [T, D].</summary>
    public ResidualStream Embed(LinearWeight table)
    {
        Tensor y = graph.NewTensor("hidden", Shape.Rows, table.Columns, residualRole);
        long rowBytes = table.SizeBytes / table.Rows;
        Add("embed", [], [y], Shape.Rows * rowBytes, () =>
            Embedding.Bind(loader, inputs.Device(fields.TokenIds), table.Matrix, y.View));
        return new ResidualStream(y, null);
    }

    /// <summary>The stream with its branch added, and norm(sum) for linear layers to read: both [T, D].</summary>
    public (ResidualStream Hidden, NormedRows Y) Norm(ResidualStream hidden, NormWeight norm)
    {
        if (loader.RunsWarpKernels && hidden.Branch is null)
            return (hidden, new NormedRows(hidden.Sum, norm));
        (hidden, Tensor y) = NormRows(hidden, norm);
        return (hidden, new NormedRows(y, null));
    }

    /// <summary>The stream with its branch added, and norm(sum) written out: both [T, D].</summary>
    public (ResidualStream Hidden, Tensor Y) NormRows(ResidualStream hidden, NormWeight norm)
    {
        Tensor x = hidden.Sum;
        Tensor y = graph.NewTensor("normed", x.Rows, x.Columns);
        if (hidden.Branch is not { } branch)
        {
            Add("rms_norm", [x], [y], norm.SizeBytes, () => loader.RunsWarpKernels && x.Columns % 4 == 0
                ? RmsNorm.BindRows(loader, x.View, norm.Values, y.View, norm.Eps)
                : RmsNorm.Bind(loader, x.View, norm.Values, y.View, norm.Eps));
            return (hidden, y);
        }

        Tensor sum = graph.NewTensor("hidden", x.Rows, x.Columns, residualRole);
        Add("add_rms_norm", [x, branch], [sum, y], norm.SizeBytes, () =>
            RmsNorm.BindAdd(loader, x.View, branch.View, norm.Values, sum.View, y.View, norm.Eps));
        return (new ResidualStream(sum, null), y);
    }

    /// <summary>The rows whose logits are asked for: [R, D]. Decode asks for every row.</summary>
    public Tensor GatherLogitRows(Tensor x)
    {
        if (Shape.Kind == StepKind.Decode)
            return x;
        return Gather("last", x, fields.LogitRow);
    }

    private Tensor Gather(string name, Tensor x, StepField rows)
    {
        Tensor y = graph.NewTensor(name, rows.Length, x.Columns);
        Add("gather_rows", [x], [y], 0, () => GatherRows.Bind(loader, x.View, inputs.Device(rows), y.View));
        return y;
    }

    // Rows that somebody reads who cannot norm them: written once, however many do.
    private Tensor Written(NormedRows x)
    {
        if (x.Pending is not { } norm)
            return x.Rows;
        if (!writtenRows.TryGetValue(x, out Tensor? written))
            writtenRows.Add(x, written = NormRows(new ResidualStream(x.Rows, null), norm).Y);
        return written;
    }

    private void Add(
        string op, Tensor[] reads, Tensor[] writes, long otherBytes, Func<Launch> bind, long bytesPerContextToken = 0,
        long multiplyAdds = 0, NodeWork work = NodeWork.Memory) =>
        graph.Add(op, reads, writes, otherBytes, () => [bind()], bytesPerContextToken, multiplyAdds: multiplyAdds, work: work);
}

/// <summary>How steps are recorded.</summary>
/// <param name="KeepsResiduals">Keep the residual stream of every layer readable after a run.</param>
/// <param name="ScoreBlockRows">Rows whose logits are there at a time where rows are scored; 0: <see cref="Ops.MostLogitRows"/>.</param>
/// <param name="Tile">Of every prefill matmul whose format has it, whatever tables say; null leaves it to them.</param>
/// <param name="DeltaForm">Of the delta rule in prefill by portable kernels.</param>
internal record RecordOptions(
    bool KeepsResiduals = false, int ScoreBlockRows = 0, PrefillTile? Tile = null, DeltaPrefillForm DeltaForm = DeltaPrefillForm.Fastest);
