using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>One stored tensor: name, type and shape, the file of the checkpoint that holds it, and its bytes there.</summary>
/// <param name="Name">The name as stored.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, outermost first; empty for a scalar.</param>
/// <param name="Shard">Index of the file within the checkpoint.</param>
/// <param name="OffsetBytes">First byte, from the beginning of the file.</param>
/// <param name="LengthBytes">Bytes of the whole tensor.</param>
internal sealed record TensorEntry(string Name, TensorType Type, ImmutableArray<long> Shape, int Shard, long OffsetBytes, long LengthBytes)
{
    /// <summary>The element type as the file spells it.</summary>
    public string TypeName { get; init; } = Type.Name();

    /// <summary>The shape as messages show it: <c>[12288, 5120]</c>.</summary>
    public string ShapeText => TextOf(Shape.AsSpan());

    /// <summary>Number of elements.</summary>
    public long ElementCount
    {
        get
        {
            long count = 1;
            foreach (long extent in Shape)
                count *= extent;
            return count;
        }
    }

    /// <summary>A shape as messages show it.</summary>
    public static string TextOf(ReadOnlySpan<long> shape) => $"[{string.Join(", ", shape.ToArray())}]";
}
