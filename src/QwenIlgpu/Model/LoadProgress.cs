namespace QwenIlgpu;

/// <summary>How far loading has come.</summary>
/// <param name="Stage">What is being done, in a few words.</param>
/// <param name="LoadedBytes">Weight bytes read so far.</param>
/// <param name="TotalBytes">Weight bytes to read.</param>
public readonly record struct LoadProgress(string Stage, long LoadedBytes, long TotalBytes);
