namespace QwenIlgpu;

/// <summary>Head counts and sizes of a gated attention layer: H, Hkv, Hd, and the leading dimensions that rotary turns.</summary>
internal readonly record struct AttentionShape(int Heads, int KvHeads, int HeadDim, int RotaryDim);
