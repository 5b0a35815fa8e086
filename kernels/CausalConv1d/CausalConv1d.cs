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
        int ringRows = ring.Columns / x.Columns;
        Require.That(
            Op,
            ringRows >= weight.Columns && ring.Columns % x.Columns == 0,
            $"columns of ring are {ring.Columns}, not a multiple of {x.Columns} channels for at least {weight.Columns} rows");
        Require.Equal(Op, "length of firstRow", firstRow.Length, "sequences + 1", stateSlot.Length + 1);
        Require.Equal(Op, "length of positions", positions.Length, "rows of x", x.Rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);

        // Neighbouring GPU threads take neighbouring channels; a CPU thread takes whole cache lines.
        int blockWidth = loader.Accelerator.AcceleratorType == AcceleratorType.CPU ? 64 : 1;
        return loader.Bind(
            CausalConv1dKernel.CausalConv1d,
            new CausalConv1dKernel(x, weight, ring, ringRows, firstRow, positions, stateSlot, y, (int)stateSlot.Length, blockWidth));
    }
}
