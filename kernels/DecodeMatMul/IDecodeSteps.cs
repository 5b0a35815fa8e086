namespace QwenIlgpu.Kernels;

/// <summary>
/// The index steps of a decode matmul that no type and no compiler checks. A type parameter, so that a test can get one wrong and see its
/// assertions fail.
/// </summary>
internal interface IDecodeSteps
{
    /// <summary>A lane's word of codes as the dequantiser takes it.</summary>
    static abstract uint Word(uint word);

    /// <summary>The group whose scales belong to a tile, of the group that it lies in.</summary>
    static abstract int Group(int group);

    /// <summary>What is staged in place of activations past K, as a pair.</summary>
    static abstract uint Padding { get; }
}

/// <summary>As it has to be.</summary>
internal readonly struct DecodeSteps : IDecodeSteps
{
    public static uint Padding => 0;

    public static uint Word(uint word) => word;

    public static int Group(int group) => group;
}
