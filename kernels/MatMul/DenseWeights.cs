namespace QwenIlgpu.Kernels;

/// <summary>Plain weights [N, K], rows of 16-byte words of <typeparamref name="TFormat"/>; their scale is one.</summary>
internal readonly struct DenseWeights<TFormat>(DenseMatrix matrix) : IMatMulWeights
    where TFormat : struct, IWeightFormat
{
    private readonly Matrix<UInt4> words = new(matrix.Data, matrix.Rows, matrix.StrideWords);

    public int ChainColumns => 128;

    public float Weight(int row, int k) => TFormat.At(words.Row(row), k);

    public float Scale(int row, int k) => 1;

    public CpuWeights ForCpu() => CpuWeights.OfRows(
        typeof(TFormat) == typeof(F32Weights) ? CpuWeightKind.F32
            : typeof(TFormat) == typeof(F16Weights) ? CpuWeightKind.F16 : CpuWeightKind.Bf16,
        words);
}
