namespace QwenIlgpu;

/// <summary>A matrix of FP8 E4M3: W[o, i] = scale[o / BlockRows, i / BlockColumns] · code[o, i].</summary>
/// <param name="Codes">F8_E4M3 [N, K].</param>
/// <param name="Scales">F32, BF16 or F16, of as many elements as there are blocks.</param>
/// <param name="BlockRows">Rows that share a scale: N of one for the matrix, 1 of one a row.</param>
/// <param name="BlockColumns">Columns that do, K of one for the row.</param>
internal sealed record Fp8Module(TensorEntry Codes, TensorEntry Scales, int BlockRows, int BlockColumns) : ModuleEncoding
{
    private static readonly TensorType[] ScaleTypes = [TensorType.F32, TensorType.BF16, TensorType.F16];

    public override string Text
    {
        get
        {
            (long rows, long columns) = (Codes.Shape[0], Codes.Shape[1]);
            string scales = BlockRows == rows && BlockColumns == columns ? "one scale"
                : BlockRows == 1 ? "a scale for each row"
                : $"blocks of {BlockRows} × {BlockColumns}";
            return $"FP8 E4M3, {scales}, {Scales.TypeName}";
        }
    }

    public override long StoredBytes => Codes.LengthBytes + Scales.LengthBytes;

    /// <summary>Of codes [N, K]; the scales' shape tells what shares one, and a declared block which of two dimensions.</summary>
    /// <exception cref="InvalidDataException">There are no scales, or two sets, or they have none of the shapes.</exception>
    public static Fp8Module Describe(
        Checkpoint checkpoint, string module, TensorEntry codes, int outFeatures, int inFeatures, int blockRows, int blockColumns)
    {
        codes = checkpoint.Get($"{module}.weight", [TensorType.F8E4M3], outFeatures, inFeatures);
        if (inFeatures % 8 != 0)
            throw new InvalidDataException($"{checkpoint.PathOf(codes)}: tensor {codes.Name} has {inFeatures} columns, must be a multiple of 8");
        TensorEntry? inverse = checkpoint.Find($"{module}.weight_scale_inv");       // multiplies, whatever its name says
        TensorEntry? direct = checkpoint.Find($"{module}.weight_scale");
        if (inverse is not null && direct is not null)
            throw new InvalidDataException($"{checkpoint.PathOf(codes)}: module {module} has two sets of scales, {inverse.Name} and {direct.Name}");
        TensorEntry scales = inverse ?? direct ?? throw new InvalidDataException(
            $"{checkpoint.PathOf(codes)}: tensor {codes.Name} is {codes.TypeName}, but there are no scales: neither weight_scale_inv nor weight_scale "
            + "is beside it");
        if (!ScaleTypes.Contains(scales.Type))
            throw new NotSupportedException($"{checkpoint.PathOf(scales)}: tensor {scales.Name} is {scales.TypeName}; scales of FP8 are F32, BF16 or F16");

        (long down, long across) = (Blocks(outFeatures, blockRows), Blocks(inFeatures, blockColumns));
        ReadOnlySpan<long> shape = scales.Shape.AsSpan();
        if (shape.SequenceEqual([down, across]) || shape.SequenceEqual([down, 1, across, 1]))
            return new Fp8Module(codes, scales, blockRows, blockColumns);
        if (scales.ElementCount == 1)
            return new Fp8Module(codes, scales, outFeatures, inFeatures);
        return shape.SequenceEqual([outFeatures]) || shape.SequenceEqual([outFeatures, 1])
            ? new Fp8Module(codes, scales, 1, inFeatures)
            : throw new InvalidDataException(
                $"{checkpoint.PathOf(scales)}: tensor {scales.Name} is {scales.ShapeText}; for {codes.ShapeText} it has one scale, {outFeatures} of rows, or "
                + $"[{down}, {across}] of blocks of {blockRows} × {blockColumns}");
    }

    private static long Blocks(int extent, int block) => ((long)extent + block - 1) / block;
}
