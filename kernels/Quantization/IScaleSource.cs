namespace QwenIlgpu.Kernels;

/// <summary>The order of a checkpoint format's 16-bit scales.</summary>
internal interface IScaleSource
{
    static abstract ushort Scale(Matrix<ushort> source, int row, int group);
}

/// <summary>[G, N], as GPTQ and AWQ have them.</summary>
internal readonly struct ScalesByGroup : IScaleSource
{
    public static ushort Scale(Matrix<ushort> source, int row, int group) => source[group, row];
}

/// <summary>[N, G], as compressed-tensors has them.</summary>
internal readonly struct ScalesByRow : IScaleSource
{
    public static ushort Scale(Matrix<ushort> source, int row, int group) => source[row, group];
}
