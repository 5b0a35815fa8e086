using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Depthwise causal convolution over rows, then SiLU: y[t, c] = silu(Σ_j w[c, j] · x[t − (kernel − 1) + j, c]). Each sequence's
/// last rows before the convolution are carried in its slot, a ring: the row of position p at index p % ring rows.
/// </summary>
internal static class CausalConv1d
{
    private const string Op = "causal_conv1d";

    /// <summary>
    /// x, y: [T, C], B sequences back to back, y may be x; weight: [C, kernel], kernel 2 to 4; ring: [slots, ring rows · C], at least
    /// kernel rows, read and advanced. Rows before position 0 are zeros, whatever the ring holds; a sequence without rows keeps its slot.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> x,
        Matrix<float> weight,
        Matrix<float> ring,
        SlotRows rows,
        Matrix<float> y)
    {
        Require.That(Op, weight.Columns is >= 2 and <= 4, $"weight {weight} has {weight.Columns} taps, 2 to 4 are supported");
        Require.Equal(Op, "rows of weight", weight.Rows, "columns of x", x.Columns);
        int ringRows = CheckRing(Op, x, weight.Columns, ring, rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);

        return loader.Bind(
            CausalConv1dKernel.CausalConv1d,
            new CausalConv1dKernel(x, weight, ring, ringRows, rows, y, rows.Sequences, BlockWidth(loader)));
    }

    /// <summary>
    /// The ring as it will be after each chunk, into another slot's: what the state after a prefix is besides the delta rule's. Run it before
    /// <see cref="Bind"/>, whose operands it takes.
    /// </summary>
    public static Launch BindSnapshot(KernelLoader loader, Matrix<float> x, int taps, Matrix<float> ring, ChunkedRows rows)
    {
        const string SnapshotOp = "conv_snapshot";
        int ringRows = CheckRing(SnapshotOp, x, taps, ring, rows.Rows);
        rows.CheckChunks(SnapshotOp);
        return loader.Bind(
            ConvSnapshotKernel.ConvSnapshot, new ConvSnapshotKernel(x, ring, ringRows, taps - 1, rows, BlockWidth(loader)));
    }

    // Neighbouring GPU threads take neighbouring channels; a CPU thread takes whole cache lines.
    private static int BlockWidth(KernelLoader loader) => loader.Accelerator.AcceleratorType == AcceleratorType.CPU ? 64 : 1;

    // Rows that the ring holds.
    private static int CheckRing(string op, Matrix<float> x, int taps, Matrix<float> ring, SlotRows rows)
    {
        int ringRows = ring.Columns / x.Columns;
        Require.That(
            op,
            ringRows >= taps && ring.Columns % x.Columns == 0,
            $"columns of ring are {ring.Columns}, not a multiple of {x.Columns} channels for at least {taps} rows");
        rows.Check(op, "rows of x", x.Rows);
        return ringRows;
    }
}
