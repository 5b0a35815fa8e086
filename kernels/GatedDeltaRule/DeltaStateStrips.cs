using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>A warp's share of a state, transposed: 16 value columns × 64 keys, and as many more where heads are of 128.</summary>
internal readonly struct DeltaStateStrips(FragmentStrip first, FragmentStrip second)
{
    public readonly FragmentStrip First = first;
    public readonly FragmentStrip Second = second;

    /// <summary>One strip in, the first one out: after as many rounds as there are strips all are new and in order.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public DeltaStateStrips Appended<THeadDim>(FragmentStrip strip)
        where THeadDim : struct, IConstant => THeadDim.Value > 64 ? new(Second, strip) : new(strip, default);

    /// <summary>As the A operand of products along the keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StateOperand ToOperand() => new(First.ToOperand(), Second.ToOperand());
}

/// <summary>A state rounded to f16, for products along its keys.</summary>
internal readonly struct StateOperand(StripOperand first, StripOperand second)
{
    public readonly StripOperand First = first;
    public readonly StripOperand Second = second;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public StateOperand Swapped() => new(Second, First);
}
