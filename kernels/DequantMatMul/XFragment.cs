using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The elements of x that meet one lane's 16 bytes of a tile, read through one reference: with the reference at k = 2t of the tile,
/// the lane's k of step j are fields X and Y of that step's Low.Low and High.Low.
/// </summary>
internal struct XFragment
{
    public XStep Step0;
    public XStep Step1;
    public XStep Step2;
    public XStep Step3;

    /// <summary>The fragment of lanes 4·g + t in the tile that begins at k = start.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static ref XFragment At(ArrayView<float> row, int start, int t) => ref Unsafe.As<float, XFragment>(ref row[start + (2 * t)]);
}

/// <summary>Sixteen consecutive elements: one m16n8k16 step.</summary>
internal struct XStep
{
    public Float8 Low;
    public Float8 High;
}
