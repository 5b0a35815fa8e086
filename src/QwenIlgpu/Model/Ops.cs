using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// The operations a model records with. Each is a shape rule and a node, nothing else; the kernels' own host side checks the
/// operands again when the graph is bound.
/// </summary>
internal sealed class Ops(OpGraph graph, KernelLoader loader, StepInputs inputs, StepShape shape, TensorRole residualRole)
{
    private readonly StepFields fields = inputs.FieldsOf(shape);

    public StepShape Shape { get; } = shape;

    public T Scoped<T>(string scope, Func<T> record) => graph.Scoped(scope, record);

    /// <summary>Rows of the table for the step's token ids begin the residual stream: [T, D].</summary>
    public ResidualStream Embed(LinearWeight table)
    {
        Tensor y = graph.NewTensor("hidden", Shape.Rows, table.Columns, residualRole);
        DenseMatrix matrix = Dense(table, "embed");
        Add("embed", [], [y], y.SizeBytes / 2, () => Embedding.Bind(loader, inputs.Device(fields.TokenIds), matrix, y.View));
        return new ResidualStream(y, null);
    }

    /// <summary>The stream with its branch added, and norm(sum): both [T, D].</summary>
    public (ResidualStream Hidden, Tensor Y) Norm(ResidualStream hidden, NormWeight norm)
    {
        Tensor x = hidden.Sum;
        Tensor y = graph.NewTensor("normed", x.Rows, x.Columns);
        if (hidden.Branch is not { } branch)
        {
            Add("rms_norm", [x], [y], norm.SizeBytes, () => RmsNorm.Bind(loader, x.View, norm.Values, y.View, norm.Eps));
            return (hidden, y);
        }

        Tensor sum = graph.NewTensor("hidden", x.Rows, x.Columns, residualRole);
        Add("add_rms_norm", [x, branch], [sum, y], norm.SizeBytes, () =>
            RmsNorm.BindAdd(loader, x.View, branch.View, norm.Values, sum.View, y.View, norm.Eps));
        return (new ResidualStream(sum, null), y);
    }

    /// <summary>y = x · Wᵀ: [T, N].</summary>
    public Tensor Linear(Tensor x, LinearWeight weight, TensorRole role = TensorRole.Activation)
    {
        if (x.Columns != weight.Columns)
            throw new ArgumentException($"linear: K of {x} is {x.Columns}, of {weight.Name} [{weight.Rows}, {weight.Columns}] is {weight.Columns}");
        string name = weight.Name[(weight.Name.LastIndexOf('.') + 1)..];
        Tensor y = graph.NewTensor(name, x.Rows, weight.Rows, role);
        Add(weight.Int4 is null ? "mat_mul" : "dequant_mat_mul", [x], [y], weight.SizeBytes, () => weight.Int4 is { } int4
            ? DequantMatMul.Bind(loader, x.View, int4, y.View)
            : DenseMatMul.Bind(loader, x.View, weight.Dense!.Value, y.View));
        return y;
    }

    /// <summary>One output for each weight, all of the same x.</summary>
    public Tensor[] Linears(Tensor x, params ReadOnlySpan<LinearWeight> weights)
    {
        var outputs = new Tensor[weights.Length];
        for (int i = 0; i < weights.Length; i++)
            outputs[i] = Linear(x, weights[i]);
        return outputs;
    }

    /// <summary>The stream with x · Wᵀ as its branch.</summary>
    public ResidualStream AddLinear(ResidualStream hidden, Tensor x, LinearWeight weight) => hidden with { Branch = Linear(x, weight) };

    /// <summary>silu(x · gateᵀ) · (x · upᵀ): [T, F].</summary>
    public Tensor GateUp(Tensor x, LinearWeight gateProj, LinearWeight upProj)
    {
        Tensor[] gateUp = Linears(x, gateProj, upProj);
        (Tensor gate, Tensor up) = (gateUp[0], gateUp[1]);
        Tensor y = graph.NewTensor("swiglu", gate.Rows, gate.Columns);
        Add("swiglu", [gate, up], [y], 0, () => SwiGlu.Bind(loader, gate.View, up.View, y.View));
        return y;
    }

    /// <summary>q/k norm and partial rotary in place on q [T, H·2·Hd] (query and gate interleaved per head) and k [T, Hkv·Hd].</summary>
    public void QkNormRotary(Tensor q, Tensor k, AttentionShape heads, ArrayView<float> qNorm, ArrayView<float> kNorm, RotaryView rotary, float eps) =>
        Add("qk_norm_rotary", [q, k], [q, k], 0, () => Kernels.QkNormRotary.Bind(
            loader, q.View, k.View, heads.Heads, heads.KvHeads, heads.HeadDim, qNorm, kNorm, inputs.Device(fields.Positions), rotary, heads.RotaryDim, eps));

    /// <summary>Writes k and v [T, Hkv·Hd] into the layer's pages.</summary>
    public void KvAppend(Tensor k, Tensor v, LayerPages pages, ModelState state) =>
        Add("kv_append", [k, v], [], k.SizeBytes, () =>
        {
            ArrayView<int> slots = inputs.Device(fields.RowSlot);
            ArrayView<int> positions = inputs.Device(fields.Positions);
            return pages.F32 is { } f32
                ? Kernels.KvAppend.Bind<float, F32Format>(loader, k.View, v.View, f32, slots, positions, state.PageTable)
                : Kernels.KvAppend.Bind<ushort, Bf16Format>(loader, k.View, v.View, pages.Bf16!.Value, slots, positions, state.PageTable);
        });

    /// <summary>Causal attention over the pages, times the sigmoid of the gate inside q: [T, H·Hd].</summary>
    public Tensor GatedAttention(Tensor q, LayerPages pages, ModelState state, AttentionShape heads)
    {
        Tensor y = graph.NewTensor("attention", q.Rows, heads.Heads * heads.HeadDim);
        (int rows, int columns) = Kernels.GatedAttention.ScratchShape(q.Rows, heads.Heads);
        Tensor scores = graph.NewTensor("scores", rows, columns, TensorRole.Scratch);
        Add("gated_attention", [q], [scores, y], 0, () =>
        {
            ArrayView<int> slots = inputs.Device(fields.RowSlot);
            ArrayView<int> positions = inputs.Device(fields.Positions);
            return pages.F32 is { } f32
                ? Kernels.GatedAttention.Bind<float, F32Format>(
                    loader, q.View, f32, slots, positions, state.PageTable, heads.Heads, heads.HeadDim, scores.View, y.View)
                : Kernels.GatedAttention.Bind<ushort, Bf16Format>(
                    loader, q.View, pages.Bf16!.Value, slots, positions, state.PageTable, heads.Heads, heads.HeadDim, scores.View, y.View);
        });
        return y;
    }

    /// <summary>silu(causal conv1d(x)) with the carried tail: [T, C].</summary>
    public Tensor CausalConv1d(Tensor x, Matrix<float> weight, DeltaLayerState state)
    {
        Tensor y = graph.NewTensor("conv", x.Rows, x.Columns);
        long tailBytes = 2L * Shape.Sequences * state.ConvTail.Columns * sizeof(float);
        Add("causal_conv1d", [x], [y], tailBytes, () => Kernels.CausalConv1d.Bind(
            loader, x.View, weight, state.ConvTail, inputs.Device(fields.FirstRow), inputs.Device(fields.Positions), inputs.Device(fields.SequenceSlot), y.View));
        return y;
    }

    /// <summary>β = σ(b), g = −exp(A_log)·softplus(a + dt_bias): both [T, Hv].</summary>
    public (Tensor Beta, Tensor G) DeltaGates(Tensor b, Tensor a, ArrayView<float> aLog, ArrayView<float> dtBias)
    {
        Tensor beta = graph.NewTensor("beta", b.Rows, b.Columns);
        Tensor g = graph.NewTensor("g", b.Rows, b.Columns);
        Add("delta_gates", [b, a], [beta, g], 0, () => Kernels.DeltaGates.Bind(loader, b.View, a.View, aLog, dtBias, beta.View, g.View));
        return (beta, g);
    }

    /// <summary>l2-normalises q and k inside q|k|v rows, in place.</summary>
    public void QkL2Norm(Tensor qkv, DeltaShape heads) =>
        Add("qk_l2_norm", [qkv], [qkv], 0, () => Kernels.QkL2Norm.Bind(loader, qkv.View, heads.KeyHeads, heads.KeyHeadDim));

    /// <summary>The gated delta rule over q|k|v rows with the slot's state: [T, Hv·Dv]; chunked in prefill, recurrent in decode.</summary>
    public Tensor GatedDeltaRule(Tensor qkv, Tensor beta, Tensor g, DeltaShape heads, DeltaLayerState state)
    {
        Tensor y = graph.NewTensor("delta", qkv.Rows, heads.ValueHeads * heads.ValueHeadDim);
        long stateBytes = 2L * Shape.Sequences * state.State.Columns * sizeof(float);
        if (Shape.Kind == StepKind.Decode)
        {
            Add("delta_recurrent", [qkv, beta, g], [y], stateBytes, () => Kernels.GatedDeltaRule.BindRecurrent(
                loader, qkv.View, beta.View, g.View, heads, state.State, inputs.Device(fields.FirstRow), inputs.Device(fields.Positions), inputs.Device(fields.SequenceSlot), y.View));
            return y;
        }

        Tensor scratch = graph.NewTensor("chunks", qkv.Rows, ChunkScratch.Columns(heads), TensorRole.Scratch);
        graph.Add("delta_chunked", [qkv, beta, g], [scratch, y], stateBytes, () => Kernels.GatedDeltaRule.BindChunked(
            loader, qkv.View, beta.View, g.View, heads, state.State,
            inputs.Device(fields.FirstRow), inputs.Device(fields.Positions), inputs.Device(fields.SequenceSlot),
            new ChunkList(inputs.Device(fields.ChunkFirstRow), inputs.Device(fields.ChunkRows), inputs.Device(fields.FirstChunk)),
            new ChunkScratch(heads, scratch.View), y.View));
        return y;
    }

    /// <summary>norm(x)·weight·silu(z) per value head: [T, Hv·Dv].</summary>
    public Tensor GatedRmsNorm(Tensor x, Tensor z, ArrayView<float> weight, int headDim, float eps)
    {
        Tensor y = graph.NewTensor("gated", x.Rows, x.Columns);
        Add("gated_rms_norm", [x, z], [y], 0, () => Kernels.GatedRmsNorm.Bind(loader, x.View, z.View, weight, headDim, y.View, eps));
        return y;
    }

    /// <summary>The rows whose logits are asked for: [R, D]. Decode asks for every row.</summary>
    public Tensor GatherLogitRows(Tensor x)
    {
        if (Shape.Kind == StepKind.Decode)
            return x;
        Tensor y = graph.NewTensor("last", Shape.LogitRows, x.Columns);
        Add("gather_rows", [x], [y], 0, () => GatherRows.Bind(loader, x.View, inputs.Device(fields.LogitRow), y.View));
        return y;
    }

    private void Add(string op, Tensor[] reads, Tensor[] writes, long otherBytes, Func<Launch> bind) =>
        graph.Add(op, reads, writes, otherBytes, () => [bind()]);

    private static DenseMatrix Dense(LinearWeight weight, string op) =>
        weight.Dense ?? throw new ArgumentException($"{op}: {weight.Name} is INT4; a table is read row by row and stays plain");
}
