using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>A stored weight that is NaN or infinite.</summary>
/// <param name="File">The file that holds it.</param>
/// <param name="Entry">Its tensor.</param>
/// <param name="Element">Its index in the tensor, counted through all extents.</param>
/// <param name="Value">NaN or an infinity.</param>
internal sealed record NonFiniteWeight(string File, TensorEntry Entry, long Element, float Value)
{
    /// <summary>NaN, Infinity or -Infinity.</summary>
    public string ValueText => Value.ToString(CultureInfo.InvariantCulture);

    /// <summary>Its indices, outermost first: <c>[7, 3]</c>.</summary>
    public string Place
    {
        get
        {
            long[] indices = new long[Entry.Shape.Length];
            long rest = Element;
            for (int i = indices.Length - 1; i >= 0; i--)
                (rest, indices[i]) = Math.DivRem(rest, Entry.Shape[i]);
            return TensorEntry.TextOf(indices);
        }
    }

    /// <summary>Tensor, file and place in words.</summary>
    public override string ToString() => $"tensor {Entry.Name} in {Path.GetFileName(File)} holds {ValueText} at {Place}";
}

/// <summary>Finds weights that are NaN or infinite: those whose exponent has every bit set.</summary>
internal static class NonFiniteWeights
{
    private const int BlockBytes = 1 << 20;

    /// <summary>The first non-finite number of the text model's tensors, in the order in which they are stored; null where there is none.</summary>
    public static NonFiniteWeight? FirstIn(Checkpoint checkpoint, CancellationToken cancellation)
    {
        byte[] block = new byte[BlockBytes];
        foreach (TensorEntry tensor in checkpoint.Tensors.Where(t => CanBeIn(t.Type)).OrderBy(t => (t.Shard, t.OffsetBytes)))
        {
            for (long offset = 0; offset < tensor.LengthBytes; offset += BlockBytes)
            {
                cancellation.ThrowIfCancellationRequested();
                Span<byte> bytes = block.AsSpan(0, (int)Math.Min(BlockBytes, tensor.LengthBytes - offset));
                checkpoint.Read(tensor, offset, bytes);
                if (FirstIn(bytes, checkpoint.PathOf(tensor), tensor, offset) is { } found)
                    return found;
            }
        }

        return null;
    }

    /// <summary>The first non-finite number among a tensor's bytes from <paramref name="offsetBytes"/> on, or null.</summary>
    public static NonFiniteWeight? FirstIn(ReadOnlySpan<byte> bytes, string file, TensorEntry tensor, long offsetBytes)
    {
        int index = IndexIn(bytes, tensor.Type);
        if (index < 0)
            return null;
        int size = tensor.Type.ByteSize();
        ReadOnlySpan<byte> element = bytes.Slice(index * size, size);
        float value = tensor.Type switch
        {
            TensorType.F32 => MemoryMarshal.Read<float>(element),
            TensorType.F16 => (float)MemoryMarshal.Read<Half>(element),
            TensorType.F8E4M3 => float.NaN,             // which it has without infinities
            _ => BitConverter.UInt32BitsToSingle((uint)MemoryMarshal.Read<ushort>(element) << 16),
        };
        return new NonFiniteWeight(file, tensor, (offsetBytes / size) + index, value);
    }

    /// <summary>Whether numbers of this type are weights or scales, and may be NaN.</summary>
    public static bool CanBeIn(TensorType type) => type.IsPlainFloat() || type == TensorType.F8E4M3;

    /// <summary>Index of the first non-finite element of such a type, or -1.</summary>
    public static int IndexIn(ReadOnlySpan<byte> bytes, TensorType type) => type switch
    {
        TensorType.F32 => IndexOfExponent(MemoryMarshal.Cast<byte, uint>(bytes), 0x7F80_0000u),
        TensorType.F16 => IndexOfExponent(MemoryMarshal.Cast<byte, ushort>(bytes), (ushort)0x7C00),
        TensorType.BF16 => IndexOfExponent(MemoryMarshal.Cast<byte, ushort>(bytes), (ushort)0x7F80),
        TensorType.F8E4M3 => IndexOfExponent(bytes, (byte)0x7F),
        _ => throw new ArgumentException($"{type} is not a type of weights", nameof(type)),
    };

    private static int IndexOfExponent<T>(ReadOnlySpan<T> values, T exponent)
        where T : unmanaged, IBinaryInteger<T>
    {
        int i = 0;
        Vector<T> mask = new(exponent);
        for (int width = Vector<T>.Count; i <= values.Length - (4 * width); i += 4 * width)
        {
            ReadOnlySpan<T> four = values.Slice(i, 4 * width);
            Vector<T> any = Vector.Equals(new Vector<T>(four) & mask, mask)
                | Vector.Equals(new Vector<T>(four[width..]) & mask, mask)
                | Vector.Equals(new Vector<T>(four[(2 * width)..]) & mask, mask)
                | Vector.Equals(new Vector<T>(four[(3 * width)..]) & mask, mask);
            if (any != Vector<T>.Zero)
                break;
        }

        for (; i < values.Length; i++)
        {
            if ((values[i] & exponent) == exponent)
                return i;
        }

        return -1;
    }
}
