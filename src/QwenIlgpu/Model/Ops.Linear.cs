using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Linear layers, alone and with what is fused around them. On a GPU norm, activation and residual sum go into one launch with the
/// matmul, for all projections of the same rows that share a format; what cannot be fused is recorded part by part.
/// </summary>
internal sealed partial class Ops
{
    private readonly Dictionary<(NormedRows, Operand16), Tensor> packedRows = [];
    private readonly Dictionary<(Tensor, InputOrder), Tensor> orderedRows = [];

    /// <summary>y = x · Wᵀ: [T, N].</summary>
    public Tensor Linear(Tensor x, LinearWeight weight, TensorRole role = TensorRole.Activation) =>
        Fused(new NormedRows(x, null), [weight], role)?[0] ?? PortableLinear(x, weight, role);

    /// <summary>One output for each weight, all of the same x.</summary>
    public Tensor[] Linears(NormedRows x, params LinearWeight[] weights)
    {
        var outputs = new List<Tensor>();
        while (outputs.Count < weights.Length)
        {
            LinearWeight[] rest = weights[outputs.Count..];
            LinearWeight[] together = rest[..Math.Max(1, CountFused(rest))];
            outputs.AddRange(Fused(x, together) ?? [PortableLinear(Written(x), together[0])]);
        }

        return [.. outputs];
    }

    /// <summary>The stream with x · Wᵀ added, or as its branch where the next norm adds it.</summary>
    public ResidualStream AddLinear(ResidualStream hidden, Tensor x, LinearWeight weight)
    {
        if (hidden.Branch is not null || !CanFuse(weight))
            return hidden with { Branch = Linear(x, weight) };
        Tensor sum = graph.NewTensor("hidden", x.Rows, weight.Rows, residualRole);
        AddFused(
            "linear_add", new NormedRows(x, null), [weight], [sum], extraRead: hidden.Sum,
            () => new Epilogue(Residual: hidden.Sum.View));
        return new ResidualStream(sum, null);
    }

    /// <summary>silu(x · gateᵀ) · (x · upᵀ): [T, F].</summary>
    public Tensor GateUp(NormedRows x, LinearWeight gateProj, LinearWeight upProj)
    {
        Tensor y = graph.NewTensor("swiglu", x.Rows.Rows, gateProj.Rows);
        if (CanFuse(gateProj, upProj))
        {
            AddFused("gate_up_swiglu", x, [gateProj, upProj], [y], extraRead: null, () => new Epilogue(SwiGlu: true));
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
        x = Ordered(new NormedRows(x, null), weight).Rows;
        Tensor y = graph.NewTensor(weight.ShortName, x.Rows, weight.Rows, role);
        Add(
            weight.Matrix.IsDense ? "mat_mul" : "dequant_mat_mul", [x], [y], weight.SizeBytes,
            () => PortableMatMul.Bind(loader, x.View, weight.Matrix, y.View, takesFixedPoint: Shape.Kind == StepKind.Decode),
            multiplyAdds: (long)x.Rows * weight.Rows * weight.Columns);
        return y;
    }

    // Null where no fused kernel takes these weights.
    private Tensor[]? Fused(NormedRows x, LinearWeight[] weights, TensorRole role = TensorRole.Activation)
    {
        if (!CanFuse(weights))
            return null;
        Tensor[] outputs = Array.ConvertAll(weights, w => graph.NewTensor(w.ShortName, x.Rows.Rows, w.Rows, role));
        AddFused("linear", x, weights, outputs, extraRead: null, () => default);
        return outputs;
    }

    // outputs: one a weight, or one of a pair.
    private void AddFused(
        string op, NormedRows x, LinearWeight[] weights, Tensor[] outputs, Tensor? extraRead, Func<Epilogue> finish)
    {
        foreach (LinearWeight weight in weights)
            CheckColumns(x.Rows, weight);
        x = Ordered(x, weights[0]);
        if (fusesDecode)
            AddDecode(op, x, weights, outputs, extraRead, finish);
        else
            AddPrefill(op, x, weights, outputs, extraRead, finish);
    }

    private void AddDecode(
        string op, NormedRows x, LinearWeight[] weights, Tensor[] outputs, Tensor? extraRead, Func<Epilogue> finish)
    {
        DecodePlan plan = DecodePlan.Of(
            x.Rows.Rows, x.Rows.Columns, Array.ConvertAll(weights, w => w.Rows), swiGlu: outputs.Length < weights.Length);
        Tensor? scratch = NewPartials(plan.ScratchFloats);
        string name = x.Pending is null ? op : $"norm_{op}";
        long weightBytes = weights.Sum(w => w.SizeBytes) + (x.Pending?.SizeBytes ?? 0);
        graph.Add(name, Some(x.Rows, extraRead), [.. outputs, .. Some(scratch)], weightBytes, () => DecodeMatMul.Bind(
            loader, RowsOf(x), Projections(weights, outputs), finish(), OperandOf(weights), ScratchOf(scratch, plan.Tickets)));
    }

    private void AddPrefill(
        string op, NormedRows x, LinearWeight[] weights, Tensor[] outputs, Tensor? extraRead, Func<Epilogue> finish)
    {
        Operand16 operand = OperandOf(weights);
        Tensor packed = Packed(x, operand);
        var shape = PrefillShape.Of(Array.ConvertAll(weights, w => w.Matrix), swiGlu: outputs.Length < weights.Length);
        PrefillTile tile = options.Tile is { } forced && PrefillTiles.Of(shape.Format).Contains(forced)
            ? forced
            : PrefillTables.TileOf(loader, shape, packed.Rows);
        var plan = PrefillPlan.Of(tile, packed.Rows, shape);
        Tensor? scratch = NewPartials(plan.ScratchFloats);
        Func<Launch[]> bind = () =>
        [
            PrefillMatMul.Bind(
                loader, PackedOf(packed, x, operand), Projections(weights, outputs), finish(), ScratchOf(scratch, plan.Tickets), tile),
        ];
        graph.Add(
            op, Some(packed, extraRead), [.. outputs, .. Some(scratch)], weights.Sum(w => w.SizeBytes), bind, matMul: shape);
    }

    // x as the weight takes its inputs: gathered once, however many weights have that order.
    private NormedRows Ordered(NormedRows x, LinearWeight weight)
    {
        if (weight.Order is not { } order)
            return x;
        Tensor rows = Written(x);
        if (!orderedRows.TryGetValue((rows, order), out Tensor? ordered))
        {
            Tensor y = ordered = graph.NewTensor("ordered", rows.Rows, rows.Columns);
            orderedRows.Add((rows, order), ordered);
            Add("gather_columns", [rows], [y], order.SizeBytes, () => GatherColumns.Bind(loader, rows.View, order.Inputs, y.View));
        }

        return new NormedRows(ordered, null);
    }

    // Normed and rounded once, however many matmuls read them.
    private Tensor Packed(NormedRows x, Operand16 operand)
    {
        if (packedRows.TryGetValue((x, operand), out Tensor? known))
            return known;
        int wordColumns = checked((int)(4 * PrefillRows.Length(1, x.Rows.Columns)));
        Tensor packed = graph.NewTensor("packed", x.Rows.Rows, wordColumns, TensorRole.Scratch);
        packedRows.Add((x, operand), packed);
        Add(x.Pending is null ? "round_rows" : "norm_round_rows", [x.Rows], [packed], x.Pending?.SizeBytes ?? 0, () =>
            PrefillMatMul.BindRound(loader, RowsOf(x), PackedOf(packed, x, operand)));
        return packed;
    }

    private static PrefillRows PackedOf(Tensor packed, NormedRows x, Operand16 operand) =>
        new(packed.View.Data.Cast<UInt4>(), x.Rows.Rows, x.Rows.Columns, operand);

    private static MatMulRows RowsOf(NormedRows x) =>
        x.Pending is { } norm ? new MatMulRows(x.Rows.View, norm.Values, norm.Eps) : new MatMulRows(x.Rows.View);

    private static Projection[] Projections(LinearWeight[] weights, Tensor[] outputs) =>
        [.. weights.Select((w, i) => new Projection(w.Matrix, i < outputs.Length ? outputs[i].View : default))];

    private Tensor? NewPartials(long floats) =>
        floats == 0 ? null : graph.NewTensor("partials", 1, checked((int)floats), TensorRole.Scratch);

    private MatMulScratch ScratchOf(Tensor? floats, int count) =>
        new(floats is null ? default : floats.View.Data, tickets.SubView(0, count));

    private static Tensor[] Some(params Tensor?[] tensors) => [.. tensors.OfType<Tensor>()];

    // How many of the first weights share a launch.
    private int CountFused(LinearWeight[] weights)
    {
        int count = weights.Length;
        while (count > 0 && !CanFuse(weights[..count]))
            count--;
        return count;
    }

    private bool CanFuse(params LinearWeight[] weights)
    {
        if (weights[0].Columns % 4 != 0 || !Array.TrueForAll(weights, w => w.Order == weights[0].Order))
            return false;
        WeightMatrix[] matrices = Array.ConvertAll(weights, w => w.Matrix);
        return fusesPrefill
            ? PrefillMatMul.CanFuse(matrices, OperandOf(weights))
            : fusesDecode && Shape.Rows <= DecodePlan.MaxTokens && ProjectionSet.CanFuse(matrices, OperandOf(weights));
    }

    // Plain f16 weights are multiplied as they are; everything else as bf16, whose range no activation leaves.
    private static Operand16 OperandOf(LinearWeight[] weights) =>
        Array.TrueForAll(weights, w => w.Matrix is { IsDense: true, Type: WeightType.F16 }) ? Operand16.F16 : Operand16.Bf16;

    private static void CheckColumns(Tensor x, LinearWeight weight)
    {
        if (x.Columns != weight.Columns)
            throw new ArgumentException($"linear: K of {x} is {x.Columns}, of {weight} is {weight.Columns}");
    }
}
