namespace QwenIlgpu.Kernels;

/// <summary>Whether a launch of quantised weights has projections of plain weights too, which take a loop of their own.</summary>
internal interface IRiders
{
    static abstract bool Ride { get; }
}

internal readonly struct NoRiders : IRiders
{
    public static bool Ride => false;
}

internal readonly struct DenseRiders : IRiders
{
    public static bool Ride => true;
}
