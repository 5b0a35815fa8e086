namespace QwenIlgpu.Kernels;

/// <summary>Where a step puts what it computed; a test replaces it by a faulty one.</summary>
internal interface IDeltaStepPlaces
{
    /// <summary>The place of a value column in the stored state.</summary>
    static abstract int StateColumn(int column);

    /// <summary>The stashed row that is replayed in n-th place.</summary>
    static abstract int StashedRow(int n);
}

internal readonly struct DeltaStepPlaces : IDeltaStepPlaces
{
    public static int StateColumn(int column) => column;

    public static int StashedRow(int n) => n;
}
