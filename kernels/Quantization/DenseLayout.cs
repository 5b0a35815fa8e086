namespace QwenIlgpu.Kernels;

/// <summary>
/// Plain weights, row-major. Each row is padded with zeros to a multiple of 16 bytes, so that it is read in 16-byte words whatever its
/// length: element (r, c) is the c-th of row r's words.
/// </summary>
internal static class DenseLayout
{
    /// <summary>Bytes of one element.</summary>
    public static int ElementBytes(WeightType type) => type == WeightType.F32 ? sizeof(float) : sizeof(ushort);

    /// <summary>16-byte words from one row to the next.</summary>
    public static int StrideWords(WeightType type, int columns) => (int)(((long)columns * ElementBytes(type) + 15) / 16);

    /// <summary>Bytes that a matrix takes in device memory, padding included.</summary>
    public static long Bytes(WeightType type, int rows, int columns) => rows * (long)StrideWords(type, columns) * 16;
}
