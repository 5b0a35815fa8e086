using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Depthwise causal convolution over rows, then SiLU: y[t, c] = silu(Σ_j w[c, j] · x[t − (kernel − 1) + j, c]). Each sequence's
/// last kernel − 1 rows before the convolution are carried in its slot.
/// </summary>
internal static class CausalConv1d
{
    private const string Op = "causal_conv1d";

    /// <summary>
    /// x, y: [T, C], B sequences back to back, y may be x; weight: [C, kernel], kernel 2 to 4; tail: [slots, (kernel − 1) · C], read and
    /// replaced, rows oldest first; firstRow: [B + 1]; positions: [T]; stateSlot: [B]. A sequence whose first position is 0 starts
    /// from zeros and its slot is not read; a sequence without rows keeps its slot.
    /// </summary>
    public static Launch Bind(
        KernelLoader loader,
        Matrix<float> x,
        Matrix<float> weight,
        Matrix<float> tail,
        ArrayView<int> firstRow,
        ArrayView<int> positions,
        ArrayView<int> stateSlot,
        Matrix<float> y)
    {
        Require.That(Op, weight.Columns is >= 2 and <= 4, $"weight {weight} has {weight.Columns} taps, 2 to 4 are supported");
        Require.Equal(Op, "rows of weight", weight.Rows, "columns of x", x.Columns);
        Require.Equal(Op, "columns of tail", tail.Columns, "(taps − 1) · columns of x", (weight.Columns - 1L) * x.Columns);
        Require.Equal(Op, "length of firstRow", firstRow.Length, "sequences + 1", stateSlot.Length + 1);
        Require.Equal(Op, "length of positions", positions.Length, "rows of x", x.Rows);
        Require.Equal(Op, "rows of y", y.Rows, "rows of x", x.Rows);
        Require.Equal(Op, "columns of y", y.Columns, "columns of x", x.Columns);

        // Neighbouring GPU threads take neighbouring channels; a CPU thread takes whole cache lines.
        int blockWidth = loader.Accelerator.AcceleratorType == AcceleratorType.CPU ? 64 : 1;
        return loader.Bind(
            CausalConv1dKernel.CausalConv1d,
            new CausalConv1dKernel(x, weight, tail, firstRow, positions, stateSlot, y, (int)stateSlot.Length, blockWidth));
    }
}
