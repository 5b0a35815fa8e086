namespace QwenIlgpu.Kernels;

/// <summary>y = silu(gate) · up, silu(g) = g / (1 + exp(−g)).</summary>
internal static class SwiGlu
{
    /// <summary>gate, up, y: [T, F]; y may be gate or up itself.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> gate, Matrix<float> up, Matrix<float> y)
    {
        const string Op = "swiglu";
        Require.Equal(Op, "rows of up", up.Rows, "rows of gate", gate.Rows);
        Require.Equal(Op, "columns of up", up.Columns, "columns of gate", gate.Columns);
        Require.Equal(Op, "rows of y", y.Rows, "rows of gate", gate.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of gate", gate.Columns);
        return loader.Bind(SwiGluKernel.SwiGlu, new SwiGluKernel(gate, up, y));
    }
}
