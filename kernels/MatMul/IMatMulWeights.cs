namespace QwenIlgpu.Kernels;

/// <summary>The weights [N, K] of a matmul in one storage, element by element: scale · weight.</summary>
internal interface IMatMulWeights
{
    /// <summary>Neighbouring k whose products are summed before they are scaled; a divisor of the columns that share a scale.</summary>
    int ChainColumns { get; }

    /// <summary>The weight before its scale, exactly.</summary>
    float Weight(int row, int k);

    /// <summary>The scale of a row's weights in the chain that begins at k.</summary>
    float Scale(int row, int k);

    /// <summary>The same weights as the shares of CPU threads read them.</summary>
    CpuWeights ForCpu();
}
