using ILGPU;
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
    /// kernel rows, read and advanced; firstRow: [B + 1]; positions: [T]; stateSlot: [B]. Rows before position 0 are zeros, whatever
    /// the ring holds; a sequence without rows keeps its slot.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> x,
        Matrix<float> weight,
        Matrix<float> ring,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        Matrix<float> y)
    {
        Require.That(Op, weight.Columns is >= 2 and <= 4, $"weight {weight} has {weight.Columns} taps, 2 to 4 are supported");
        Require.Equal(Op, "rows of weight", weight.Rows, "columns of x", x.Columns);
        int ringRows = CheckRing(Op, x, weight.Columns, ring, firstRow, positions, stateSlot);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);

        return loader.Bind(
            CausalConv1dKernel.CausalConv1d,
            new CausalConv1dKernel(
                x, weight, ring, ringRows, firstRow, positions, stateSlot, y, (int)stateSlot.Length, BlockWidth(loader)));
    }

    /// <summary>
    /// The ring as it will be after each chunk, into another slot's: what the state after a prefix is besides the delta rule's. Run it before
    /// <see cref="Bind"/>, whose operands it takes; chunks: built for the same firstRow and positions; snapshotSlot: [chunks], a slot that
    /// nothing else in the step has, or −1.
    /// </summary>
    public static Launch BindSnapshot(
        KernelLoader loader,
        Matrix<float> x,
        int taps,
        Matrix<float> ring,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        ChunkList chunks,
        ArrayView<int> snapshotSlot)
    {
        const string SnapshotOp = "conv_snapshot";
        int ringRows = CheckRing(SnapshotOp, x, taps, ring, firstRow, positions, stateSlot);
        Require.Equal(SnapshotOp, "length of the chunks' firstChunk", chunks.FirstChunk.Length, "sequences + 1", stateSlot.Length + 1);
        Require.Equal(SnapshotOp, "length of snapshotSlot", snapshotSlot.Length, "chunks", chunks.Rows.Length);
        return loader.Bind(
            ConvSnapshotKernel.ConvSnapshot,
            new ConvSnapshotKernel(
                x, ring, ringRows, taps - 1, firstRow, positions, stateSlot, chunks, snapshotSlot, BlockWidth(loader)));
    }

    // Neighbouring GPU threads take neighbouring channels; a CPU thread takes whole cache lines.
    private static int BlockWidth(KernelLoader loader) => loader.Accelerator.AcceleratorType == AcceleratorType.CPU ? 64 : 1;

    // Rows that the ring holds.
    private static int CheckRing(
        string op, Matrix<float> x, int taps, Matrix<float> ring, ArrayView<int> firstRow, ArrayView<int> positions, ArrayView<int> stateSlot)
    {
        int ringRows = ring.Columns / x.Columns;
        Require.That(
            op,
            ringRows >= taps && ring.Columns % x.Columns == 0,
            $"columns of ring are {ring.Columns}, not a multiple of {x.Columns} channels for at least {taps} rows");
        Require.Equal(op, "length of firstRow", firstRow.Length, "sequences + 1", stateSlot.Length + 1);
        Require.Equal(op, "length of positions", positions.Length, "rows of x", x.Rows);
        return ringRows;
    }
}
