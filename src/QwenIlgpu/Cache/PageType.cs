using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Element type of the pages that hold attention keys and values.</summary>
public enum PageType
{
    /// <summary>bfloat16: the default.</summary>
    Bf16,

    /// <summary>32-bit float: for exactness.</summary>
    F32,
}

/// <summary>What each page type is made of.</summary>
internal static class PageTypes
{
    /// <summary>Bytes of an element.</summary>
    public static int ElementBytes(this PageType type) => type switch
    {
        PageType.Bf16 => sizeof(ushort),
        PageType.F32 => sizeof(float),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no page type"),
    };

    /// <summary>One layer's pages, zeroed.</summary>
    public static LayerPages Allocate(this PageType type, DeviceMemory memory, int pages, int kvHeads, int headDim) => type switch
    {
        PageType.Bf16 => LayerPages<ushort, Bf16PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        PageType.F32 => LayerPages<float, F32PageFormat>.Allocate(memory, pages, kvHeads, headDim),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "no page type"),
    };
}
