namespace QwenIlgpu.Kernels;

/// <summary>How a vocabulary is cut among the threads of a portable kernel: each row into the same number of blocks.</summary>
internal static class VocabularyBlocks
{
    public const int Count = 32;

    /// <summary>Tokens in one block: the vocabulary's share, rounded up to whole mask words.</summary>
    public static int Length(int vocabularySize) => ((int)((uint)(vocabularySize + Count - 1) / Count) + 31) & ~31;
}
