namespace QwenIlgpu.Testing;

/// <summary>All of a generation at once.</summary>
internal static class Updates
{
    public static async Task<int[]> IdsAsync(this IAsyncEnumerable<GenerationUpdate> updates)
    {
        var ids = new List<int>();
        await foreach (GenerationUpdate update in updates)
            ids.AddRange(update.TokenIds);
        return [.. ids];
    }
}
