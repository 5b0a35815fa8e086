namespace QwenIlgpu;

/// <summary>Element type of the pages that hold attention keys and values.</summary>
public enum PageType
{
    /// <summary>bfloat16: the default.</summary>
    Bf16,

    /// <summary>32-bit float: for exactness.</summary>
    F32,
}
