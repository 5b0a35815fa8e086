using System.Runtime.InteropServices;

namespace QwenIlgpu.Tests;

/// <summary>A tensor to be written.</summary>
internal sealed record DraftTensor(TensorType Type, long[] Shape, byte[] Bytes)
{
    /// <summary>A tensor whose bytes count up.</summary>
    public static DraftTensor Of(TensorType type, params long[] shape)
    {
        byte[] bytes = new byte[shape.Aggregate(1L, static (a, b) => a * b) * type.ByteSize()];
        for (int i = 0; i < bytes.Length; i++)
            bytes[i] = (byte)(i * 31);
        return new DraftTensor(type, shape, bytes);
    }

    public static DraftTensor Words(long[] shape, Func<int, int> word)
    {
        int[] words = [.. Enumerable.Range(0, (int)shape.Aggregate(1L, static (a, b) => a * b)).Select(word)];
        return new DraftTensor(TensorType.I32, shape, MemoryMarshal.AsBytes<int>(words).ToArray());
    }
}
