namespace QwenIlgpu.Kernels;

/// <summary>Keys and values of past tokens lie in pages of this many tokens of one sequence; a page table names a sequence's pages.</summary>
internal static class KvCache
{
    public const int PageTokens = 64;
}
