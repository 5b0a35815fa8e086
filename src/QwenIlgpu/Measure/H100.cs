namespace QwenIlgpu;

/// <summary>What predictions take an H100 to reach where no tile's own count says it.</summary>
internal static class H100
{
    /// <summary>Memory bandwidth: 92 % of 3.35 TB/s.</summary>
    public const double BytesPerSecond = 3.35e12 * 0.92;

    /// <summary>FLOP/s of prefill attention.</summary>
    public const double AttentionFlopsPerSecond = 270e12;

    /// <summary>Time of a token in a layer's delta rule: 0.5 ms for 8,192.</summary>
    public const double DeltaMicrosecondsPerToken = 500.0 / 8192;

    /// <summary>Least time of a launch.</summary>
    public const double LaunchMicroseconds = 3;
}
