namespace QwenIlgpu.Kernels;

/// <summary>How a vocabulary is cut among groups of threads: by its size alone, so that no batch changes a row's sums.</summary>
internal static class VocabularySections
{
    /// <summary>Tokens of a section: eight a thread.</summary>
    public const int Length = 8 * GroupScan.Threads;

    /// <summary>Sections of the largest vocabulary: a thread of a group each.</summary>
    public const int Most = GroupScan.Threads;

    public static int Count(int vocabularySize) => (int)((uint)(vocabularySize + Length - 1) / Length);
}
