using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine.Numbers;

/// <summary>Sums of doubles that keep what rounding took.</summary>
internal static class OddSums
{
    /// <summary>a + b − sum, exactly, where sum is a + b rounded to nearest; NaN where the sum is not finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Lost(Vector512<double> a, Vector512<double> b, Vector512<double> sum)
    {
        Vector512<double> second = sum - a;
        return (a - (sum - second)) + (b - second);
    }

    /// <summary>
    /// sum + lost rounded to odd: itself where nothing was lost or the last bit is set, else the neighbour on the side of what was lost.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> ToOdd(Vector512<double> sum, Vector512<double> lost)
    {
        Vector512<double> zero = Vector512<double>.Zero;
        Vector512<long> bits = sum.AsInt64();
        Vector512<long> any = (Vector512.LessThan(lost, zero) | Vector512.GreaterThan(lost, zero)).AsInt64();
        Vector512<long> isEven = (bits & Vector512<long>.One) - Vector512<long>.One;
        Vector512<long> step = ((bits ^ lost.AsInt64()) >> 63) | Vector512<long>.One;
        return (bits + (step & any & isEven)).AsDouble();
    }
}
