namespace QwenIlgpu;

/// <summary>A token matched whole, before any normalisation; decoding may skip the special ones.</summary>
internal sealed record AddedToken(int Id, string Content, bool Special);
