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

    /// <summary>The sixteen lanes' totals of a row tile with one token's x, whose stretches lie so far apart; rows in the order of memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<TLanes>(in CpuWeights w, long rowTile, int rows, int columns, float* x, long stretchFloats, float* totals)
        where TLanes : IDenseLanes
    {
        byte* tail = stackalloc byte[Step * sizeof(float)];
        LaneSums.Clear(totals);
        for (int row = 0; row < rows; row++)
        {
            byte* elements = w.Data + (((rowTile * LaneSums.Rows) + row) * w.RowBytes);
            float* xs = x;
            Vector512<float> total = Vector512<float>.Zero;
            for (int start = 0; start < columns; start += LaneOrder.Stretch)
            {
                int count = Math.Min(columns - start, LaneOrder.Stretch);
                int i = 0;
                Vector512<float> sum = Vector512<float>.Zero;
                for (; i <= count - Step; i += Step)
                {
                    Sse.Prefetch0(elements + CpuMatMul.AheadBytes);
                    if (TLanes.ElementBytes == sizeof(float))
                        Sse.Prefetch0(elements + CpuMatMul.AheadBytes + 64);
                    sum = Vector512.FusedMultiplyAdd(TLanes.First(elements), Vector512.LoadAligned(xs + i), sum);
                    sum = Vector512.FusedMultiplyAdd(TLanes.Second(elements), Vector512.LoadAligned(xs + i + CpuVectors.Width), sum);
                    elements += Step * TLanes.ElementBytes;
                }

                if (i < count)
                {
                    CopyTail<TLanes>(elements, count - i, tail);
                    sum = Vector512.FusedMultiplyAdd(TLanes.First(tail), Vector512.LoadAligned(xs + i), sum);
                    sum = Vector512.FusedMultiplyAdd(TLanes.Second(tail), Vector512.LoadAligned(xs + i + CpuVectors.Width), sum);
                }

                total += sum;
                xs += stretchFloats;
            }

            total.StoreAligned(totals + (row * CpuVectors.Width));
        }
    }

    /// <summary>The weights of a row tile's rows in the columns from … to, the rows a stretch apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Unpack<TLanes>(in CpuWeights w, long rowTile, int rows, int from, int to, float* weights)
        where TLanes : IDenseLanes
    {
        byte* tail = stackalloc byte[Step * sizeof(float)];
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
