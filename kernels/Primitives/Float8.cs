using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Eight consecutive floats of a row, read through one reference: on the CPU accelerator every index into a view is a checked call.
/// </summary>
internal struct Float8(Float4 low, Float4 high)
{
    public Float4 Low = low;
    public Float4 High = high;

    /// <summary>Elements [start, start + 8) of a row; any start is aligned enough.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref Float8 At(ArrayView<float> row, int start) => ref Unsafe.As<float, Float8>(ref row[start]);

    /// <summary>A row's elements from start on, of which fewer than eight are left, and zeros behind them.</summary>
    public static Float8 Last(ArrayView<float> row, int start)
    {
        int left = (int)row.Length - start;
        Float8 value = default;
        value.Low.X = row[start];
        value.Low.Y = left > 1 ? row[start + 1] : 0;
        value.Low.Z = left > 2 ? row[start + 2] : 0;
        value.Low.W = left > 3 ? row[start + 3] : 0;
        value.High.X = left > 4 ? row[start + 4] : 0;
        value.High.Y = left > 5 ? row[start + 5] : 0;
        value.High.Z = left > 6 ? row[start + 6] : 0;
        return value;
    }
}
