using System.Collections.Immutable;

namespace QwenIlgpu;

/// <summary>
/// What a checkpoint declares of its quantised modules. Which modules are quantised, and how, their own tensors tell: the type of the codes
/// and the scales beside them. Declared is only what tensors do not show.
/// </summary>
/// <param name="Int4">Of 4-bit integers; null where none are declared, which are then refused.</param>
/// <param name="Fp8BlockRows">Rows of W that share a scale of FP8, where scales have two dimensions.</param>
/// <param name="Fp8BlockColumns">Columns that do.</param>
internal sealed record QuantizedModules(Int4Declaration? Int4 = null, int Fp8BlockRows = 128, int Fp8BlockColumns = 128)
{
    /// <summary>Of a checkpoint that declares nothing.</summary>
    public static readonly QuantizedModules Undeclared = new();

    /// <summary>The tensors of which a module has one: its weight, or codes in its place.</summary>
    public static readonly ImmutableArray<string> CodeTensors = ["weight", "qweight", "weight_packed"];

    /// <summary>How a module with a weight [N, K] is stored whose codes or weight are this tensor.</summary>
    public ModuleEncoding Describe(Checkpoint checkpoint, string module, TensorEntry codes, int outFeatures, int inFeatures)
    {
        RefuseInputScales(checkpoint, module);
        return codes.Type switch
        {
            TensorType.F8E4M3 => Fp8Module.Describe(checkpoint, module, codes, outFeatures, inFeatures, Fp8BlockRows, Fp8BlockColumns),
            TensorType.U8 => Fp4Module.Describe(checkpoint, module, codes, outFeatures, inFeatures),
            _ when codes.Name.EndsWith(".weight", StringComparison.Ordinal) =>
                new PlainModule(checkpoint.Get($"{module}.weight", outFeatures, inFeatures)),
            _ when Int4 is null => throw new InvalidDataException(
                $"{checkpoint.PathOf(codes)}: holds {codes.Name}, but config.json has no {QuantizationConfig.Key} that declares 4-bit integers"),
            _ => Int4Module.Describe(checkpoint, module, codes, outFeatures, inFeatures, Int4),
        };
    }

    // Activation-aware exports of some tools scale inputs at run time.
    private static void RefuseInputScales(Checkpoint checkpoint, string module)
    {
        if (checkpoint.Find($"{module}.pre_quant_scale") is { } scale)
            throw new NotSupportedException($"{checkpoint.PathOf(scale)}: holds {scale.Name}; inputs with scales of their own are not supported");
    }
}
