using ILGPU;

namespace QwenIlgpu.Kernels;

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
