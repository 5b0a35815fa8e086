using System.Buffers;
using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>What small tensors beside a matrix must hold. Headers do not tell: they are read when the matrix is loaded.</summary>
internal static class TensorContents
{
    private const int BlockBytes = 1 << 16;

    /// <summary>Whether every 32-bit word is this one.</summary>
    public static bool AreAll(Checkpoint checkpoint, TensorEntry tensor, int word)
    {
        bool areAll = true;
        Scan<int>(checkpoint, tensor, (words, _) => areAll &= words.IndexOfAnyExcept(word) < 0);
        return areAll;
    }

    /// <summary>Throws unless a bias adds nothing.</summary>
    /// <exception cref="NotSupportedException">It is not of zeros.</exception>
    public static void RequireZeros(Checkpoint checkpoint, TensorEntry bias)
    {
        int size = bias.Type.ByteSize();
        Scan<byte>(checkpoint, bias, (bytes, first) =>
        {
            for (int i = 0; i < bytes.Length; i++)
            {
                // A zero may have a sign, the highest bit of its last byte.
                bool isLast = i % size == size - 1;
                if ((bytes[i] & (isLast ? 0x7f : 0xff)) != 0)
                {
                    throw new NotSupportedException(
                        $"{checkpoint.PathOf(bias)}: tensor {bias.Name} is not zero at element {(first + i) / size}: a bias is not supported here");
                }
            }
        });
    }

    private static void Scan<T>(Checkpoint checkpoint, TensorEntry tensor, ReadOnlySpanAction<T, long> check)
        where T : unmanaged
    {
        byte[] block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            for (long offset = 0; offset < tensor.LengthBytes; offset += BlockBytes)
            {
                Span<byte> bytes = block.AsSpan(0, (int)Math.Min(BlockBytes, tensor.LengthBytes - offset));
                checkpoint.Read(tensor, offset, bytes);
                check(MemoryMarshal.Cast<byte, T>(bytes), offset / Marshal.SizeOf<T>());
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }
}
