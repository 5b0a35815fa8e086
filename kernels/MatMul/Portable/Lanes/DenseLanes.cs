using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>How 32 neighbouring elements of a row become two vectors of floats, exactly.</summary>
internal unsafe interface IDenseLanes
{
    static abstract int ElementBytes { get; }

    static abstract Vector512<float> First(byte* elements);

    static abstract Vector512<float> Second(byte* elements);
}

/// <summary>Even elements first: the lower halves of 32-bit words.</summary>
internal readonly unsafe struct Bf16Lanes : IDenseLanes
{
    public static int ElementBytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => (Vector512.Load((uint*)elements) << 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => (Vector512.Load((uint*)elements) & Vector512.Create(0xffff0000u)).AsSingle();
}

/// <summary>Even elements first.</summary>
internal readonly unsafe struct F16DenseLanes : IDenseLanes
{
    public static int ElementBytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => F16Lanes.Lower(Vector512.Load((uint*)elements));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => F16Lanes.Upper(Vector512.Load((uint*)elements));
}

/// <summary>As they lie.</summary>
internal readonly unsafe struct F32Lanes : IDenseLanes
{
    public static int ElementBytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> First(byte* elements) => Vector512.Load((float*)elements);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Second(byte* elements) => Vector512.Load((float*)elements + CpuVectors.Width);
}

/// <summary>Rows of plain elements in vectors, 32 k at a time; what is left of a row is copied between zeros first.</summary>
internal static unsafe class DenseLanes
{
    private const int Step = 2 * CpuVectors.Width;
    private const int TailBytes = Step * sizeof(float);

    /// <summary>What the ends of four rows take.</summary>
    public const int TailFloats = 4 * Step;

    /// <summary>
    /// The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart; four rows side by side. tails: memory
    /// for <see cref="TailFloats"/>, as memory on the stack would be cleared for every four rows.
    /// </summary>
    public static void Multiply<TLanes>(
        in CpuWeights w, long rowTile, int rows, int columns, float* x, long stretchFloats, float* tails, float* totals)
        where TLanes : IDenseLanes
    {
        for (int row = 0; row < rows; row += 4)
        {
            // Rows past the last repeat it; nobody asks for their sums.
            byte* first = w.Data + (((rowTile * LaneSums.Rows) + row) * w.RowBytes);
            int last = rows - 1 - row;
            MultiplyFour<TLanes>(
                first, first + (Math.Min(1, last) * w.RowBytes), first + (Math.Min(2, last) * w.RowBytes), first + (Math.Min(3, last) * w.RowBytes),
                first + (4 * w.RowBytes), columns, x, stretchFloats, (byte*)tails, totals + (row * CpuVectors.Width));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyFour<TLanes>(
        byte* w0, byte* w1, byte* w2, byte* w3, byte* ahead, int columns, float* x, long stretchFloats, byte* tails, float* totals)
        where TLanes : IDenseLanes
    {
        for (int row = 0; row < 4; row++)
            Vector512<float>.Zero.StoreAligned(totals + (row * CpuVectors.Width));
        for (int start = 0; start < columns; start += LaneOrder.Stretch)
        {
            int count = Math.Min(columns - start, LaneOrder.Stretch);
            Vector512<float> a = default, b = default, c = default, d = default;
            int i = 0;
            for (; i <= count - Step; i += Step)
            {
                // The next four rows in the order of memory, which is not the one in which these are read.
                for (int line = 0; line < 4 * Step * TLanes.ElementBytes; line += 64)
                    Sse.Prefetch0(ahead + line);
                ahead += 4 * Step * TLanes.ElementBytes;
                Vector512<float> first = Vector512.LoadAligned(x + i);
                Vector512<float> second = Vector512.LoadAligned(x + i + CpuVectors.Width);
                a = Add<TLanes>(a, w0, first, second);
                b = Add<TLanes>(b, w1, first, second);
                c = Add<TLanes>(c, w2, first, second);
                d = Add<TLanes>(d, w3, first, second);
                w0 += Step * TLanes.ElementBytes;
                w1 += Step * TLanes.ElementBytes;
                w2 += Step * TLanes.ElementBytes;
                w3 += Step * TLanes.ElementBytes;
            }

            if (i < count)
            {
                CopyTail<TLanes>(w0, count - i, tails);
                CopyTail<TLanes>(w1, count - i, tails + TailBytes);
                CopyTail<TLanes>(w2, count - i, tails + (2 * TailBytes));
                CopyTail<TLanes>(w3, count - i, tails + (3 * TailBytes));
                Vector512<float> first = Vector512.LoadAligned(x + i);
                Vector512<float> second = Vector512.LoadAligned(x + i + CpuVectors.Width);
                a = Add<TLanes>(a, tails, first, second);
                b = Add<TLanes>(b, tails + TailBytes, first, second);
                c = Add<TLanes>(c, tails + (2 * TailBytes), first, second);
                d = Add<TLanes>(d, tails + (3 * TailBytes), first, second);
            }

            AddTo(totals, a);
            AddTo(totals + CpuVectors.Width, b);
            AddTo(totals + (2 * CpuVectors.Width), c);
            AddTo(totals + (3 * CpuVectors.Width), d);
            x += stretchFloats;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Add<TLanes>(Vector512<float> sum, byte* elements, Vector512<float> first, Vector512<float> second)
        where TLanes : IDenseLanes =>
        Vector512.FusedMultiplyAdd(
            TLanes.Second(elements), second, Vector512.FusedMultiplyAdd(TLanes.First(elements), first, sum));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddTo(float* total, Vector512<float> sum) => (Vector512.LoadAligned(total) + sum).StoreAligned(total);

    /// <summary>The weights of a row tile's rows in the columns from … to, the rows a stretch apart; tails as there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TLanes>(in CpuWeights w, long rowTile, int rows, int from, int to, float* weights, float* tails)
        where TLanes : IDenseLanes
    {
        byte* tail = (byte*)tails;
        for (int row = 0; row < rows; row++)
        {
            byte* elements = w.Data + (((rowTile * LaneSums.Rows) + row) * w.RowBytes) + ((long)from * TLanes.ElementBytes);
            float* unpacked = weights + (row * LaneOrder.Stretch);
            int i = 0;
            for (; i <= to - from - Step; i += Step)
            {
                TLanes.First(elements).StoreAligned(unpacked + i);
                TLanes.Second(elements).StoreAligned(unpacked + i + CpuVectors.Width);
                elements += Step * TLanes.ElementBytes;
            }

            if (i == to - from)
                continue;
            CopyTail<TLanes>(elements, to - from - i, tail);
            TLanes.First(tail).StoreAligned(unpacked + i);
            TLanes.Second(tail).StoreAligned(unpacked + i + CpuVectors.Width);
        }
    }

    private static void CopyTail<TLanes>(byte* elements, int count, byte* tail)
        where TLanes : IDenseLanes
    {
        for (int i = 0; i < Step * TLanes.ElementBytes; i++)
            tail[i] = i < count * TLanes.ElementBytes ? elements[i] : (byte)0;
    }
}
