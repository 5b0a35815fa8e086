namespace QwenIlgpu;

/// <summary>
/// A matrix of FP4 E2M1, two codes a byte, the lower first: W[o, i] = global · scale[o, i / GroupSize] · value[o, i]. NVFP4 has scales of
/// E4M3 for 16 inputs and a global one; MXFP4 has powers of two for 32.
/// </summary>
/// <param name="Codes">U8 [N, K / 2].</param>
/// <param name="Scales">[N, K / GroupSize], F8_E4M3, or U8 or F8_E8M0 with the exponent e of 2^(e − 127).</param>
/// <param name="GlobalScale">F32 of one element, or null where it is 1.</param>
/// <param name="GlobalDivides">Whether the stored global scale divides, as compressed-tensors has it; ModelOpt's multiplies.</param>
internal sealed record Fp4Module(TensorEntry Codes, TensorEntry Scales, TensorEntry? GlobalScale, bool GlobalDivides) : ModuleEncoding
{
    /// <summary>Whether scales are exponents of two.</summary>
    public bool IsMx => Scales.Type != TensorType.F8E4M3;

    /// <summary>Inputs that share a scale.</summary>
    public int GroupSize => IsMx ? 32 : 16;

    public override string Text => $"{(IsMx ? "MXFP4" : "NVFP4")}, groups of {GroupSize}";

    public override long StoredBytes => Codes.LengthBytes + Scales.LengthBytes + (GlobalScale?.LengthBytes ?? 0);

    /// <summary>Of codes [N, K / 2]: the type of the scales tells which of the two it is.</summary>
    /// <exception cref="InvalidDataException">Scales are missing, or given twice.</exception>
    /// <exception cref="NotSupportedException">The scales are of another format.</exception>
    public static Fp4Module Describe(Checkpoint checkpoint, string module, TensorEntry codes, int outFeatures, int inFeatures)
    {
        string place = $"{checkpoint.PathOf(codes)}: tensor {codes.Name}";
        TensorEntry scales = checkpoint.Find($"{module}.weight_scale") ?? throw new InvalidDataException(
            $"{place} is {codes.TypeName}, but there are no scales: no weight_scale is beside it");
        bool isNv = scales.Type == TensorType.F8E4M3;
        if (!isNv && scales.Type is not (TensorType.U8 or TensorType.F8E8M0))
        {
            throw new NotSupportedException(
                $"{checkpoint.PathOf(scales)}: tensor {scales.Name} is {scales.TypeName} beside codes of {codes.TypeName}: neither NVFP4 (F8_E4M3) nor MXFP4 "
                + "(U8 or F8_E8M0)");
        }

        TensorEntry? divisor = checkpoint.Find($"{module}.weight_global_scale");
        TensorEntry? factor = checkpoint.Find($"{module}.weight_scale_2");
        if (divisor is not null && factor is not null)
            throw new InvalidDataException($"{place} has two global scales, {divisor.Name} and {factor.Name}");
        TensorEntry? global = divisor ?? factor;
        if (isNv && global is null)
            throw new InvalidDataException($"{place} is NVFP4, but has no global scale: neither weight_global_scale nor weight_scale_2 is beside it");
        if (global is not null && (global.Type != TensorType.F32 || global.ElementCount != 1))
            throw new InvalidDataException($"{checkpoint.PathOf(global)}: tensor {global.Name} is {global.TypeName} {global.ShapeText}, F32 of one element is expected");

        var encoding = new Fp4Module(codes, scales, global, GlobalDivides: divisor is not null);
        if (inFeatures % encoding.GroupSize != 0)
            throw new InvalidDataException($"{place} stands for {inFeatures} columns, must be a multiple of the group's {encoding.GroupSize}");
        string name = codes.Name[(codes.Name.LastIndexOf('.') + 1)..];
        checkpoint.Get($"{module}.{name}", [TensorType.U8], outFeatures, inFeatures / 2);
        checkpoint.Get($"{module}.weight_scale", [scales.Type], outFeatures, inFeatures / encoding.GroupSize);
        return encoding;
    }
}
