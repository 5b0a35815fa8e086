using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every instruction that exchanges words of a warp: y[op, thread], floats as their bits. x: a word a thread.</summary>
internal readonly struct WarpKernel(ArrayView<uint> x, ArrayView<uint> y) : IGroupKernel
{
    public const int XorFloat = 0;
    public const int XorInt = 1;
    public const int FromFloat = 2;
    public const int FromInt = 3;
    public const int SumFloat = 4;
    public const int SumInt = 5;
    public const int MaxFloat = 6;
    public const int SumOfFour = 7;
    public const int Ops = 8;

    /// <summary>Ops before this one move words, the others add or compare them.</summary>
    public const int FirstReduction = SumFloat;

    /// <summary>Distance of the xor shuffles.</summary>
    public const int Distance = 5;

    public ArrayView<uint> Results => y;

    public static void Warps(WarpKernel kernel) => kernel.Execute();

    public void Execute()
    {
        int thread = Grid.GlobalIndex.X;
        int threads = Grid.DimX * Group.DimX;
        uint word = x[thread];
        int integer = (int)word;
        float number = Interop.IntAsFloat(word);
        int lane = (3 * thread) + 40;                   // beyond 31: the upper bits do not count
        y[(XorFloat * threads) + thread] = Interop.FloatAsInt(WarpShuffle.Xor(number, Distance));
        y[(XorInt * threads) + thread] = (uint)WarpShuffle.Xor(integer, Distance);
        y[(FromFloat * threads) + thread] = Interop.FloatAsInt(WarpShuffle.From(number, lane));
        y[(FromInt * threads) + thread] = (uint)WarpShuffle.From(integer, lane);
        y[(SumFloat * threads) + thread] = Interop.FloatAsInt(WarpReduce.Sum(number));
        y[(SumInt * threads) + thread] = (uint)WarpReduce.Sum(integer);
        y[(MaxFloat * threads) + thread] = Interop.FloatAsInt(WarpReduce.Max(number));
        y[(SumOfFour * threads) + thread] = Interop.FloatAsInt(WarpReduce.SumOfFour(number));
    }
}
