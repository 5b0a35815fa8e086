using System.Diagnostics.CodeAnalysis;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// How attention keys and values lie in the cache. Those with fewer bits keep a scale per token and head, and turn heads by a Hadamard matrix
/// first, so that no dimension stands out.
/// </summary>
public enum KvType
{
    /// <summary>bfloat16: the default.</summary>
    Bf16,

    /// <summary>32-bit float: for exactness.</summary>
    F32,

    /// <summary>8-bit integers.</summary>
    [SuppressMessage("Naming", "CA1720:Identifier contains type name", Justification = "It is the format's name, beside Int4.")]
    Int8,

    /// <summary>4-bit integers with a zero point: a quarter of <see cref="Bf16"/>.</summary>
    Int4,

    /// <summary>Keys as <see cref="Int8"/>, values as <see cref="Int4"/>.</summary>
    K8V4,
}

/// <summary>What each type of cache is made of.</summary>
internal static class KvTypes
{
    /// <summary>Bytes of a token's key and value in one kv head, scales included.</summary>
    public static int HeadBytes(this KvType type, int headDim) => type switch
    {
        KvType.Bf16 => 2 * TokenBytes<Bf16PageFormat>(headDim),
        KvType.F32 => 2 * TokenBytes<F32PageFormat>(headDim),
        KvType.Int8 => 2 * TokenBytes<Int8PageFormat>(headDim),
        KvType.Int4 => 2 * TokenBytes<Int4PageFormat>(headDim),
        KvType.K8V4 => TokenBytes<Int8PageFormat>(headDim) + TokenBytes<Int4PageFormat>(headDim),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no type of cache"),
    };

    /// <summary>Bytes of keys and values that one token adds to a cache of this type, scales included.</summary>
    public static long KvBytesPerToken(this QwenConfig config, KvType type) =>
        (long)config.NumFullAttentionLayers * config.NumKeyValueHeads * type.HeadBytes(config.HeadDim);

    /// <summary>One layer's pages, zeroed.</summary>
    public static LayerPages Allocate(this KvType type, DeviceMemory memory, int pages, int kvHeads, int headDim) => type switch
    {
        KvType.Bf16 => LayerPages<Bf16PageFormat, Bf16PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        KvType.F32 => LayerPages<F32PageFormat, F32PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        KvType.Int8 => LayerPages<Int8PageFormat, Int8PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        KvType.Int4 => LayerPages<Int4PageFormat, Int4PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        KvType.K8V4 => LayerPages<Int8PageFormat, Int4PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no type of cache"),
    };

    private static int TokenBytes<TFormat>(int headDim)
        where TFormat : struct, IPageFormat => TFormat.RowBytes(headDim) + TFormat.ScaleBytes;
}
