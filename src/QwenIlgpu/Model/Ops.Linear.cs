using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Linear layers, alone and with what is fused around them.</summary>
internal sealed partial class Ops
{
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
    public Tensor[] Linears(NormedRows x, params ReadOnlySpan<LinearWeight> weights)
    {
        var outputs = new Tensor[weights.Length];
        for (int i = 0; i < weights.Length; i++)
            outputs[i] = Linear(x.Rows, weights[i]);
        return outputs;
    }

    /// <summary>The stream with x · Wᵀ as its branch.</summary>
    public ResidualStream AddLinear(ResidualStream hidden, Tensor x, LinearWeight weight) => hidden with { Branch = Linear(x, weight) };

    /// <summary>silu(x · gateᵀ) · (x · upᵀ): [T, F].</summary>
    public Tensor GateUp(NormedRows x, LinearWeight gateProj, LinearWeight upProj)
    {
        Tensor[] gateUp = Linears(x, gateProj, upProj);
        (Tensor gate, Tensor up) = (gateUp[0], gateUp[1]);
        Tensor y = graph.NewTensor("swiglu", gate.Rows, gate.Columns);
        Add("swiglu", [gate, up], [y], 0, () => SwiGlu.Bind(loader, gate.View, up.View, y.View));
        return y;
    }
}
