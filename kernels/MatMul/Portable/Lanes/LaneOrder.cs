using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The order in which sixteen lanes meet k. Of each storage, the weights of 64 neighbouring k come out of memory as four vectors; x is
/// rearranged to match them, once a launch. Element 16·v + lane of an order is the k of that lane in vector v.
/// </summary>
internal static unsafe class LaneOrder
{
    /// <summary>Columns that an order is about.</summary>
    public const int Block = 64;

    /// <summary>Columns after which the lanes' sums join their totals: x lies in stretches, the tokens of each one after the other.</summary>
    public const int Stretch = 512;

    private static readonly int[] Int4 = OfInt4();
    private static readonly int[] Int8 = OfInt8();
    private static readonly int[] Pairs = Of(i => (i / 32 * 32) + (i % 16 * 2) + (i / 16 % 2));
    private static readonly int[] Rows = Of(i => i);

    /// <summary>Floats that so many tokens take when arranged.</summary>
    public static long Floats(int tokens, int columns) => (long)Stretches(columns) * tokens * Stretch;

    public static int Stretches(int columns) => (columns + Stretch - 1) / Stretch;

    /// <summary>Arranges rows of x [M, K] from a token on, zeros behind their ends up to a whole block.</summary>
    public static void Arrange(Matrix<float> x, int firstToken, int tokens, CpuWeightKind kind, float* arranged)
    {
        fixed (int* order = kind switch
        {
            CpuWeightKind.Int4 or CpuWeightKind.Fp4 => Int4,
            CpuWeightKind.Int8 or CpuWeightKind.Fp8 => Int8,
            CpuWeightKind.F32 => Rows,
            _ => Pairs,
        })
        {
            for (int token = 0; token < tokens; token++)
                Arrange(CpuVectors.Row(x, firstToken + token), x.Columns, order, arranged + (token * Stretch), (long)tokens * Stretch);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Arrange(float* x, int columns, int* order, float* arranged, long stretchFloats)
    {
        float* tail = stackalloc float[Block];
        for (int start = 0; start < columns; start += Block)
        {
            float* from = x + start;
            if (columns - start < Block)
            {
                for (int k = 0; k < Block; k++)
                    tail[k] = start + k < columns ? from[k] : 0;
                from = tail;
            }

            float* to = arranged + (start / Stretch * stretchFloats) + (start % Stretch);
            if (Avx512F.IsSupported)
            {
                Permute(from, order, to);
                continue;
            }

            for (int i = 0; i < Block; i++)
                to[i] = from[order[i]];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Permute(float* from, int* order, float* to)
    {
        Vector512<float> x0 = Vector512.Load(from);
        Vector512<float> x1 = Vector512.Load(from + 16);
        Vector512<float> x2 = Vector512.Load(from + 32);
        Vector512<float> x3 = Vector512.Load(from + 48);
        for (int i = 0; i < Block; i += CpuVectors.Width)
        {
            Vector512<int> index = Vector512.Load(order + i);   // of which an instruction sees the lowest five bits
            Vector512<float> lower = Avx512F.PermuteVar16x32x2(x0, index, x1);
            Vector512<float> upper = Avx512F.PermuteVar16x32x2(x2, index, x3);
            Vector512.ConditionalSelect(Vector512.LessThan(index, Vector512.Create(32)).AsSingle(), lower, upper).StoreAligned(to + i);
        }
    }

    // Sixteen lanes are the words of four lanes of a tile, 4·t + j; a vector is one nibble of them, every second for a row.
    private static int[] OfInt4()
    {
        int[] order = new int[Block];
        for (int k = 0; k < Block; k++)
        {
            (int word, int nibble) = Int4Layout.InLane(k);
            order[(nibble / 2 * 16) + (4 * Int4Layout.LaneOf(k)) + word] = k;
        }

        return order;
    }

    // The same of bytes; a tile has half as many k.
    private static int[] OfInt8()
    {
        int[] order = new int[Block];
        for (int k = 0; k < Block; k++)
        {
            (long lane, int word, int index) = Int8Layout.Position(0, k, columnTiles: Block / Int8Layout.TileColumns);
            order[(k / Int8Layout.TileColumns * 32) + (index / 2 * 16) + (4 * ((int)lane % Int8Layout.TileLanes)) + word] = k;
        }

        return order;
    }

    private static int[] Of(Func<int, int> k) => [.. Enumerable.Range(0, Block).Select(k)];
}
