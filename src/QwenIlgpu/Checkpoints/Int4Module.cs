using System.Collections.Immutable;
using System.Text.Json;

namespace QwenIlgpu;

/// <summary>How a checkpoint lays 4-bit codes, their scales and zero points out in words; <c>kernels/Quantization</c> packs them anew.</summary>
internal enum Int4Packing
{
    /// <summary>Codes [K / 8, N], scales [G, N], zeros [G, N / 8] less 0x11111111.</summary>
    GptqV1,

    /// <summary>The same, with zeros as they are.</summary>
    GptqV2,

    /// <summary>AutoAWQ's "gemm": codes [K, N / 8], scales [G, N], zeros [G, N / 8].</summary>
    Awq,

    /// <summary>compressed-tensors' "pack-quantized": codes [N, K / 8], scales [N, G], zeros [N / 8, G].</summary>
    CompressedTensors,
}

/// <summary>4-bit codes as <c>config.json</c> declares them.</summary>
/// <param name="Packing">Of all modules.</param>
/// <param name="GroupSizes">The usual one first; −1 for whole rows. Of them one counts that the shape of a module's scales agrees with.</param>
/// <param name="IsSymmetric">Whether zero points that are stored are all 8.</param>
internal sealed record Int4Declaration(Int4Packing Packing, ImmutableArray<int> GroupSizes, bool IsSymmetric = false);

/// <summary>A matrix of 4-bit codes: W[o, i] = scale[o, g] · (code[o, i] − zero[o, g]), g = g_idx[i] or i / group.</summary>
/// <param name="Packing">How the words lie.</param>
/// <param name="Codes">I32.</param>
/// <param name="Scales">F16, BF16 or F32.</param>
/// <param name="Zeros">I32, or null where every zero point is 8.</param>
/// <param name="GIdx">I32 [K], the group of each input, or null where that is i / group.</param>
/// <param name="GroupSize">Inputs that share a scale; of a scale for a whole row, or for more, K rounded up to 64.</param>
/// <param name="IsSymmetric">Whether every zero point is 8, as <c>config.json</c> says; contents count when they are read.</param>
internal sealed record Int4Module(
    Int4Packing Packing, TensorEntry Codes, TensorEntry Scales, TensorEntry? Zeros, TensorEntry? GIdx, int GroupSize, bool IsSymmetric)
    : ModuleEncoding
{
    private static readonly TensorType[] WordTypes = [TensorType.I32];
    private static readonly TensorType[] ScaleTypes = [TensorType.F16, TensorType.BF16, TensorType.F32];

    public override string Text
    {
        get
        {
            string name = Packing switch
            {
                Int4Packing.Awq => "AWQ",
                Int4Packing.CompressedTensors => "compressed-tensors",
                _ => "GPTQ",
            };
            return $"{name} INT4, {(IsSymmetric ? "symmetric" : "asymmetric")}, groups of {GroupSize}, scales {Scales.TypeName}";
        }
    }

    public override long StoredBytes => Codes.LengthBytes + Scales.LengthBytes + (Zeros?.LengthBytes ?? 0) + (GIdx?.LengthBytes ?? 0);

    /// <summary>What eight zero points of 8 are.</summary>
    public int SymmetricZeros => Packing == Int4Packing.GptqV1 ? 0x77777777 : unchecked((int)0x88888888);

    /// <summary>Of codes that a checkpoint declares.</summary>
    public static Int4Module Describe(
        Checkpoint checkpoint, string module, TensorEntry stored, int outFeatures, int inFeatures, Int4Declaration declared)
    {
        (Int4Packing packing, ImmutableArray<int> groupSizes, bool isSymmetric) = declared;
        (string Codes, string Scales, string Zeros, string GIdx) names = NamesOf(packing);
        if (!stored.Name.EndsWith($".{names.Codes}", StringComparison.Ordinal))
        {
            throw new InvalidDataException(
                $"{checkpoint.PathOf(stored)}: holds {stored.Name}, but {QuantizationConfig.Key} declares modules with {names.Codes}");
        }

        if (inFeatures % 8 != 0 || outFeatures % 8 != 0)
        {
            throw new InvalidDataException(
                $"{checkpoint.DirectoryPath}: module {module} is quantised, but [{outFeatures}, {inFeatures}] are not multiples of 8");
        }

        bool groupsLast = packing == Int4Packing.CompressedTensors;
        long[] Lying(long groups, long rows) => groupsLast ? [rows, groups] : [groups, rows];
        long storedGroups = checkpoint.Find($"{module}.{names.Scales}") is { Shape: [var first, var second] } ? groupsLast ? second : first : 0;
        int groupSize = groupSizes.Select(SizeOf).FirstOrDefault(size => GroupsOf(size) == storedGroups, SizeOf(groupSizes[0]));
        long groups = GroupsOf(groupSize);
        long[] codesShape = packing switch
        {
            Int4Packing.Awq => [inFeatures, outFeatures / 8],
            Int4Packing.CompressedTensors => [outFeatures, inFeatures / 8],
            _ => [inFeatures / 8, outFeatures],
        };
        RefuseEightBits(checkpoint, stored, codesShape, packedLast: packing is Int4Packing.Awq or Int4Packing.CompressedTensors);
        TensorEntry codes = checkpoint.Get($"{module}.{names.Codes}", WordTypes, codesShape);
        TensorEntry scales = checkpoint.Get($"{module}.{names.Scales}", ScaleTypes, Lying(groups, outFeatures));
        bool needsZeros = packing is Int4Packing.GptqV1 or Int4Packing.GptqV2;
        TensorEntry? zeros = needsZeros
            ? checkpoint.Get($"{module}.{names.Zeros}", WordTypes, Lying(groups, outFeatures / 8))
            : Optional(names.Zeros, Lying(groups, outFeatures / 8));
        TensorEntry? gIdx = Optional(names.GIdx, inFeatures);
        return new Int4Module(packing, codes, scales, zeros, gIdx, groupSize, zeros is null || isSymmetric);

        int SizeOf(int size) => size < 0 || size > inFeatures ? (inFeatures + 63) / 64 * 64 : size;
        long GroupsOf(int size) => ((long)inFeatures + size - 1) / size;
        TensorEntry? Optional(string name, params long[] shape) =>
            checkpoint.Find($"{module}.{name}") is null ? null : checkpoint.Get($"{module}.{name}", WordTypes, shape);
    }

    // Some modules of a checkpoint may have more bits than the others: then there are twice as many words.
    private static void RefuseEightBits(Checkpoint checkpoint, TensorEntry stored, long[] fourBits, bool packedLast)
    {
        long[] eightBits = packedLast ? [fourBits[0], 2 * fourBits[1]] : [2 * fourBits[0], fourBits[1]];
        if (stored.Shape.AsSpan().SequenceEqual(eightBits))
        {
            throw new NotSupportedException(
                $"{checkpoint.PathOf(stored)}: tensor {stored.Name} is {stored.ShapeText}, 8 bits a weight, which are not supported; supported: 4");
        }
    }

    /// <summary>
    /// The group size of a section, −1 for whole rows, and behind it those of sections that overrule it for some modules, as far as they
    /// can be read.
    /// </summary>
    /// <exception cref="NotSupportedException">No kernel has the section's own.</exception>
    public static ImmutableArray<int> ReadGroupSizes(JsonSection json, string? overrides = null)
    {
        const string Key = "group_size";
        int size = json.Int(Key, int.MinValue, int.MaxValue) ?? throw json.Missing(Key);
        if (!IsGroupSize(size))
            throw json.Unsupported(Key, "powers of two from 32 on, -1 for whole rows");
        JsonElement? others = overrides is null ? null : json.Value(overrides);
        return [.. Others().Prepend(size).Distinct()];

        IEnumerable<int> Others() => others is not { ValueKind: JsonValueKind.Object } sections ? [] :
            from section in sections.EnumerateObject()
            where section.Value.ValueKind == JsonValueKind.Object
            from member in section.Value.EnumerateObject()
            where member.Name == Key && member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt32(out _)
            let other = member.Value.GetInt32()
            where IsGroupSize(other)
            select other;
    }

    /// <summary>Throws unless a section says so many bits, or nothing.</summary>
    public static void RequireFourBits(JsonSection json, string key = "bits")
    {
        if (json.RequiredInt(key, int.MinValue, int.MaxValue) != 4)
            throw json.Unsupported(key, "4");
    }

    private static (string Codes, string Scales, string Zeros, string GIdx) NamesOf(Int4Packing packing) =>
        packing == Int4Packing.CompressedTensors
            ? ("weight_packed", "weight_scale", "weight_zero_point", "weight_g_idx")
            : ("qweight", "scales", "qzeros", "g_idx");

    private static bool IsGroupSize(int size) => size == -1 || (size >= 32 && int.IsPow2(size));
}
