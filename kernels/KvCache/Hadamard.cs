using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The orthonormal Hadamard transform of each block of a head, blocks as large a power of two as divides the head: its own inverse, and it
/// spreads what a single dimension holds over its block. Sums are taken over neighbours first, then over pairs, so that all its forms agree
/// to the bit.
/// </summary>
internal static unsafe class Hadamard
{
    /// <summary>Dimensions of a block.</summary>
    public static int BlockOf(int headDim) => headDim & -headDim;

    /// <summary>In place, by one thread. values: [Hd].</summary>
    public static void Turn(ArrayView<float> values, int headDim)
    {
        int block = BlockOf(headDim);
        for (int step = 1; step < block; step <<= 1)
        {
            for (int i = 0; i < headDim >> 1; i++)
            {
                int first = ((i & -step) << 1) | (i & (step - 1));
                float a = values[first];
                float b = values[first + step];
                values[first] = a + b;
                values[first + step] = a - b;
            }
        }

        float scale = Scale(block);
        for (int i = 0; i < headDim; i++)
            values[i] *= scale;
    }

    /// <summary>Of neighbouring lanes' eights, lane l of a warp having dimensions 8l … 8l + 7 of a head or, where heads are smaller, of several.</summary>
    public static Float8 OfWarp(Float8 x, int headDim)
    {
        int block = BlockOf(headDim);
        Float4 low = OfPairs(OfNeighbours(x.Low));
        Float4 high = OfPairs(OfNeighbours(x.High));
        (low, high) = (low + high, low - high);
        int lane = Group.IdxX & 31;
        for (int step = 1; 8 * step < block; step <<= 1)
        {
            Float4 otherLow = Xor(low, step);
            Float4 otherHigh = Xor(high, step);
            bool isFirst = (lane & step) == 0;
            low = isFirst ? low + otherLow : otherLow - low;
            high = isFirst ? high + otherHigh : otherHigh - high;
        }

        float scale = Scale(block);
        return new Float8(low * scale, high * scale);
    }

    /// <summary>In place, by a thread of a CPU. values: [Hd], a multiple of 16.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Turn(float* values, int headDim)
    {
        int block = BlockOf(headDim);
        for (int i = 0; i < headDim; i += CpuVectors.Width)
        {
            Vector512<float> x = Vector512.Load(values + i);
            x = Step(x, Vector512.Create(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14), 1);
            x = Step(x, Vector512.Create(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13), 2);
            x = Step(x, Vector512.Create(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11), 4);
            x = Step(x, Vector512.Create(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7), 8);
            x.Store(values + i);
        }

        for (int step = CpuVectors.Width; step < block; step <<= 1)
        {
            for (int first = 0; first < headDim; first += 2 * step)
            {
                for (int i = first; i < first + step; i += CpuVectors.Width)
                {
                    Vector512<float> a = Vector512.Load(values + i), b = Vector512.Load(values + i + step);
                    (a + b).Store(values + i);
                    (a - b).Store(values + i + step);
                }
            }
        }

        var scale = Vector512.Create(Scale(block));
        for (int i = 0; i < headDim; i += CpuVectors.Width)
            (Vector512.Load(values + i) * scale).Store(values + i);
    }

    /// <summary>1 / √block: for half of all blocks a power of two, for the others √½ times one.</summary>
    public static float Scale(int block)
    {
        float scale = 1;
        for (; block >= 4; block >>= 2)
            scale *= 0.5f;
        return block == 2 ? scale * 0.70710678f : scale;
    }

    private static Float4 Xor(Float4 x, int mask) =>
        new(WarpShuffle.Xor(x.X, mask), WarpShuffle.Xor(x.Y, mask), WarpShuffle.Xor(x.Z, mask), WarpShuffle.Xor(x.W, mask));

    private static Float4 OfNeighbours(Float4 x) => new(x.X + x.Y, x.X - x.Y, x.Z + x.W, x.Z - x.W);

    private static Float4 OfPairs(Float4 x) => new(x.X + x.Z, x.Y + x.W, x.X - x.Z, x.Y - x.W);

    // Element i takes that at i ^ step in: the lower of the two their sum, the upper their difference.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Step(Vector512<float> x, Vector512<int> others, int step)
    {
        Vector512<float> isUpper = Vector512.Equals(Vector512<int>.Indices & Vector512.Create(step), Vector512.Create(step)).AsSingle();
        Vector512<float> own = Vector512.ConditionalSelect(isUpper, -x, x);
        return Vector512.Shuffle(x, others) + own;
    }
}
