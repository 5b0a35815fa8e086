using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Linear layers, alone and with what is fused around them. Decode on a GPU takes norm, activation and residual sum into one launch with
/// the matmul, for all projections of the same rows that share a format; what cannot be fused is recorded part by part.
/// </summary>
internal sealed partial class Ops
{
    /// <summary>y = x · Wᵀ: [T, N].</summary>
    public Tensor Linear(Tensor x, LinearWeight weight, TensorRole role = TensorRole.Activation) =>
        CanDecode(weight) ? DecodeLinears(new NormedRows(x, null), [weight], role)[0] : PortableLinear(x, weight, role);

    /// <summary>One output for each weight, all of the same x.</summary>
    public Tensor[] Linears(NormedRows x, params LinearWeight[] weights)
    {
        if (CanDecode(weights))
            return DecodeLinears(x, weights);
        if (!Array.TrueForAll(weights, w => CanDecode(w)))
            x = Written(x);
        return Array.ConvertAll(weights, w => CanDecode(w) ? DecodeLinears(x, [w])[0] : PortableLinear(x.Rows, w));
    }

    /// <summary>The stream with x · Wᵀ added, or as its branch where the next norm adds it.</summary>
    public ResidualStream AddLinear(ResidualStream hidden, Tensor x, LinearWeight weight)
    {
        if (hidden.Branch is not null || !CanDecode(weight))
            return hidden with { Branch = Linear(x, weight) };
        Tensor sum = graph.NewTensor("hidden", x.Rows, weight.Rows, residualRole);
        AddDecode(
            "linear_add", new NormedRows(x, null), [weight], [sum], extraRead: hidden.Sum,
            () => new DecodeFinish(Residual: hidden.Sum.View));
        return new ResidualStream(sum, null);
    }

    /// <summary>silu(x · gateᵀ) · (x · upᵀ): [T, F].</summary>
    public Tensor GateUp(NormedRows x, LinearWeight gateProj, LinearWeight upProj)
    {
        Tensor y = graph.NewTensor("swiglu", x.Rows.Rows, gateProj.Rows);
        if (CanDecode(gateProj, upProj))
        {
            AddDecode("gate_up_swiglu", x, [gateProj, upProj], [y], extraRead: null, () => new DecodeFinish(SwiGlu: true));
            return y;
        }

        Tensor[] gateUp = Linears(x, gateProj, upProj);
        (Tensor gate, Tensor up) = (gateUp[0], gateUp[1]);
        Add("swiglu", [gate, up], [y], 0, () => SwiGlu.Bind(loader, gate.View, up.View, y.View));
        return y;
    }

    private Tensor PortableLinear(Tensor x, LinearWeight weight, TensorRole role = TensorRole.Activation)
    {
        CheckColumns(x, weight);
        Tensor y = graph.NewTensor(weight.ShortName, x.Rows, weight.Rows, role);
        Add(weight.Dense is null ? "dequant_mat_mul" : "mat_mul", [x], [y], weight.SizeBytes, () => weight switch
        {
            { Int4: { } int4 } => DequantMatMul.Bind(loader, x.View, int4, y.View),
            { Int8: { } int8 } => DequantMatMul.Bind(loader, x.View, int8, y.View),
            _ => DenseMatMul.Bind(loader, x.View, weight.Dense!.Value, y.View),
        });
        return y;
    }

    private Tensor[] DecodeLinears(NormedRows x, LinearWeight[] weights, TensorRole role = TensorRole.Activation)
    {
        Tensor[] outputs = Array.ConvertAll(weights, w => graph.NewTensor(w.ShortName, x.Rows.Rows, w.Rows, role));
        AddDecode("linear", x, weights, outputs, extraRead: null, () => default);
        return outputs;
    }

    // outputs: one a weight, or one of a pair.
    private void AddDecode(
        string op, NormedRows x, LinearWeight[] weights, Tensor[] outputs, Tensor? extraRead, Func<DecodeFinish> finish)
    {
        foreach (LinearWeight weight in weights)
            CheckColumns(x.Rows, weight);
        DecodePlan plan = DecodePlan.Of(
            x.Rows.Rows, x.Rows.Columns, Array.ConvertAll(weights, w => w.Rows), swiGlu: outputs.Length < weights.Length);
        Tensor? scratch = plan.ScratchFloats == 0
            ? null
            : graph.NewTensor("partials", 1, checked((int)plan.ScratchFloats), TensorRole.Scratch);
        string name = x.Pending is null ? op : $"norm_{op}";
        long weightBytes = weights.Sum(w => w.SizeBytes) + (x.Pending?.SizeBytes ?? 0);
        Tensor[] reads = extraRead is null ? [x.Rows] : [x.Rows, extraRead];
        graph.Add(name, reads, scratch is null ? outputs : [.. outputs, scratch], weightBytes, () =>
        {
            DecodeProjection[] projections =
                [.. weights.Select((w, i) => new DecodeProjection(w.Matrix, i < outputs.Length ? outputs[i].View : default))];
            var rows = x.Pending is { } norm
                ? new DecodeRows(x.Rows.View, norm.Values, norm.Eps)
                : new DecodeRows(x.Rows.View);
            var memory = new DecodeScratch(scratch is null ? default : scratch.View.Data, tickets.SubView(0, plan.Tickets));
            return DecodeMatMul.Bind(loader, rows, projections, finish(), OperandOf(weights), memory);
        });
    }

    private bool CanDecode(params LinearWeight[] weights) =>
        fusesDecode && Shape.Rows <= DecodePlan.MaxTokens && weights[0].Columns % 4 == 0
        && DecodeMatMul.CanFuse(Array.ConvertAll(weights, w => w.Matrix), OperandOf(weights));

    // Plain f16 weights are multiplied as they are; everything else as bf16, whose range no activation leaves.
    private static TensorCoreType OperandOf(LinearWeight[] weights) =>
        Array.TrueForAll(weights, w => w.Dense?.Type == WeightType.F16) ? TensorCoreType.F16 : TensorCoreType.Bf16;

    private static void CheckColumns(Tensor x, LinearWeight weight)
    {
        if (x.Columns != weight.Columns)
            throw new ArgumentException($"linear: K of {x} is {x.Columns}, of {weight} is {weight.Columns}");
    }
}
