using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Four floats side by side: neighbours loaded and stored at once, or four running sums that stay in registers. Views of it start at
/// multiples of 16 bytes.
/// </summary>
internal struct Float4(float x, float y, float z, float w)
{
    public float X = x;
    public float Y = y;
    public float Z = z;
    public float W = w;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 operator +(Float4 a, Float4 b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z, a.W + b.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 operator -(Float4 a, Float4 b) => new(a.X - b.X, a.Y - b.Y, a.Z - b.Z, a.W - b.W);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Float4 operator *(Float4 a, float b) => new(a.X * b, a.Y * b, a.Z * b, a.W * b);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Dot(Float4 a, Float4 b) => ((a.X * b.X) + (a.Y * b.Y)) + ((a.Z * b.Z) + (a.W * b.W));

    /// <summary>The same memory as words of four floats: [R, C] becomes [R, C / 4].</summary>
    public static Matrix<Float4> Words(string op, string name, Matrix<float> matrix)
    {
        long offset = ((IContiguousArrayView)matrix.Data).IndexInBytes;
        Require.That(
            op,
            matrix.Columns % 4 == 0 && matrix.Stride % 4 == 0 && offset % 16 == 0,
            $"{name} {matrix} with stride {matrix.Stride} at byte {offset} does not consist of words of four floats");
        return new Matrix<Float4>(matrix.Data.Cast<Float4>(), matrix.Rows, matrix.Columns / 4, matrix.Stride / 4);
    }
}

/// <summary>Two floats side by side, loaded and stored at once. Views of it start at multiples of 8 bytes.</summary>
internal struct Float2(float x, float y)
{
    public float X = x;
    public float Y = y;

    /// <summary>The same memory as words of two floats: [R, C] becomes [R, C / 2].</summary>
    public static Matrix<Float2> Words(string op, string name, Matrix<float> matrix)
    {
        long offset = ((IContiguousArrayView)matrix.Data).IndexInBytes;
        Require.That(
            op,
            matrix.Columns % 2 == 0 && matrix.Stride % 2 == 0 && offset % 8 == 0,
            $"{name} {matrix} with stride {matrix.Stride} at byte {offset} does not consist of words of two floats");
        return new Matrix<Float2>(matrix.Data.Cast<Float2>(), matrix.Rows, matrix.Columns / 2, matrix.Stride / 2);
    }
}

/// <summary>Eight consecutive floats of a row.</summary>
internal readonly struct Float8(Float4 low, Float4 high)
{
    public readonly Float4 Low = low;
    public readonly Float4 High = high;
}

/// <summary>Eight bytes that every accelerator loads at once. Views of it start at multiples of 8 bytes.</summary>
internal readonly struct UInt2(uint x, uint y)
{
    public readonly uint X = x;
    public readonly uint Y = y;
}

/// <summary>Sixteen bytes that every accelerator loads at once. Views of it start at multiples of 16 bytes.</summary>
internal readonly struct UInt4(uint x, uint y, uint z, uint w)
{
    public readonly uint X = x;
    public readonly uint Y = y;
    public readonly uint Z = z;
    public readonly uint W = w;
}
