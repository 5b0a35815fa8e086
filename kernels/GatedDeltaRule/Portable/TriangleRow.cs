using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>One row of a chunk's 64 × 64 lower triangle: [64] float in words of four.</summary>
internal static class TriangleRow
{
    /// <summary>Σ_{j &lt; count} row_j · x_j, where x_j lies at j · stride; nothing past x_(count − 1) is read.</summary>
    public static Float4 Product(ArrayView<Float4> row, ArrayView<Float4> x, int stride, int count)
    {
        Float4 sum = default;
        int j = 0;
        for (; j + 4 <= count; j += 4)
        {
            Float4 factor = row[j >> 2];
            int at = j * stride;
            sum += (x[at] * factor.X) + (x[at + stride] * factor.Y)
                + (x[at + (2 * stride)] * factor.Z) + (x[at + (3 * stride)] * factor.W);
        }

        if (j < count)
        {
            Float4 factor = row[j >> 2];
            sum += x[j * stride] * factor.X;
            if (j + 1 < count)
                sum += x[(j + 1) * stride] * factor.Y;
            if (j + 2 < count)
                sum += x[(j + 2) * stride] * factor.Z;
        }

        return sum;
    }
}
