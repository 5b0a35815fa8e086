namespace QwenIlgpu.Kernels.Tests;

/// <summary>A checkpoint format of 4-bit codes: its definition on the host, and its packers bound to a whole matrix.</summary>
internal sealed class CheckpointFormat(
    string name, Int4SourceReference reference, Func<TestDevice, Int4Source, WeightMatrix, int, IEnumerable<Launch>> pack)
{
    public static CheckpointFormat[] All { get; } =
    [
        new("GPTQ v1", Int4SourceReference.GptqV1, (d, s, w, block) => Gptq(d, s, w, block, GptqVersion.V1)),
        new("GPTQ v2", Int4SourceReference.GptqV2, (d, s, w, block) => Gptq(d, s, w, block, GptqVersion.V2)),
        new("AWQ", Int4SourceReference.Awq, Awq),
        new("compressed-tensors", Int4SourceReference.CompressedTensors, CompressedTensors),
    ];

    public Int4SourceReference Reference { get; } = reference;

    /// <summary>Random words, scale bits and zero points of a matrix; nibbles of rows that are not there are 0.</summary>
    public Int4Source Random(int rows, int columns, int groupSize, WeightType scaleType, bool hasZeros)
    {
        Int4Reference random = Quantized.RandomInt4(rows, columns, groupSize, scaleType, hasZeros);
        for (int i = 0; i < random.Zeros.Length; i++)
            random.Zeros[i] %= 16;                      // what four bits hold
        return Reference.Unpack(random);
    }

    /// <summary>The source on a device, packed there in blocks of that many column tiles or row tiles.</summary>
    public WeightMatrix Pack(
        TestDevice device, Int4Source source, int rows, int columns, int groupSize, WeightType scaleType, int blockTiles)
    {
        WeightMatrix packed = Quantized.PoisonedInt4(device, rows, columns, groupSize, scaleType, source.Zeros.Length > 0);
        device.Run([.. pack(device, source, packed, blockTiles)]);
        return packed;
    }

    public override string ToString() => name;

    private static IEnumerable<Launch> Gptq(TestDevice device, Int4Source source, WeightMatrix w, int blockTiles, GptqVersion version)
    {
        foreach ((int first, Matrix<int> block) in Blocks(device, source.Words, w.Columns / 8, w.Rows, 8 * blockTiles))
            yield return GptqPack.Bind(device.Loader, block, first, w);
        yield return GptqPack.BindScales(device.Loader, device.Upload(source.Scales, w.Groups, w.Rows), w);
        if (source.Zeros.Length > 0)
            yield return GptqPack.BindZeros(device.Loader, device.Upload(source.Zeros, w.Groups, (w.Rows + 7) / 8), version, w);
    }

    private static IEnumerable<Launch> Awq(TestDevice device, Int4Source source, WeightMatrix w, int blockTiles)
    {
        foreach ((int first, Matrix<int> block) in Blocks(device, source.Words, w.Columns, (w.Rows + 7) / 8, 64 * blockTiles))
            yield return AwqPack.Bind(device.Loader, block, first, w);
        yield return AwqPack.BindScales(device.Loader, device.Upload(source.Scales, w.Groups, w.Rows), w);
        if (source.Zeros.Length > 0)
            yield return AwqPack.BindZeros(device.Loader, device.Upload(source.Zeros, w.Groups, (w.Rows + 7) / 8), w);
    }

    private static IEnumerable<Launch> CompressedTensors(TestDevice device, Int4Source source, WeightMatrix w, int blockTiles)
    {
        foreach ((int first, Matrix<int> block) in Blocks(device, source.Words, w.Rows, w.Columns / 8, 16 * blockTiles))
            yield return CompressedTensorsPack.Bind(device.Loader, block, first, w);
        yield return CompressedTensorsPack.BindScales(device.Loader, device.Upload(source.Scales, w.Rows, w.Groups), w);
        if (source.Zeros.Length > 0)
            yield return CompressedTensorsPack.BindZeros(device.Loader, device.Upload(source.Zeros, (w.Rows + 7) / 8, w.Groups), w);
    }

    private static IEnumerable<(int First, Matrix<int> Block)> Blocks(TestDevice device, int[] words, int rows, int columns, int height)
    {
        for (int first = 0; first < rows; first += height)
        {
            int count = Math.Min(height, rows - first);
            yield return (first, device.Upload(words[(first * columns)..((first + count) * columns)], count, columns));
        }
    }
}
