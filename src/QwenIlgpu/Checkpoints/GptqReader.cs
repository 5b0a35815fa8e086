using System.Buffers;
using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>
/// GPTQ v1, 4 bits, symmetric, groups of consecutive inputs: what <c>config.json</c> must say of it, and the tensors of a module. Names,
/// types and shapes are checked from headers, contents when they are loaded.
/// </summary>
/// <param name="GroupSize">Inputs that share a scale.</param>
internal sealed record GptqReader(int GroupSize)
{
    private const int SupportedGroupSize = 128;

    // Stored is zero − 1: the symmetric zero 8 gives eight nibbles of 7.
    private const int SymmetricZeros = 0x77777777;
    private const int BlockBytes = 1 << 16;

    private static readonly TensorType[] Words = [TensorType.I32];
    private static readonly TensorType[] ScaleTypes = [TensorType.F16, TensorType.BF16];

    /// <summary>The packing that a section of <c>config.json</c> declares. Others are refused by name.</summary>
    public static GptqReader Read(JsonSection json)
    {
        if (!json.Has("bits"))
            throw json.Missing("bits");
        RefuseFormats(json);
        RefusePackings(json);
        JsonSection? dynamic = json.Section("dynamic");
        foreach (string pattern in dynamic?.Keys ?? [])
        {
            // "-:" leaves modules plain; any other pattern may change how they are packed.
            if (!pattern.StartsWith("-:", StringComparison.Ordinal) && dynamic!.Section(pattern) is JsonSection overrides)
                RefusePackings(overrides);
        }

        return new GptqReader(SupportedGroupSize);
    }

    /// <summary>The module's tensors, for a weight [N, K].</summary>
    public GptqModule Describe(Checkpoint checkpoint, string module, int outFeatures, int inFeatures)
    {
        if (inFeatures % 8 != 0 || outFeatures % 8 != 0)
        {
            throw new InvalidDataException(
                $"{checkpoint.DirectoryPath}: module {module} is quantised, but [{outFeatures}, {inFeatures}] are not multiples of 8");
        }

        long groups = (inFeatures + (long)GroupSize - 1) / GroupSize;
        TensorEntry qweight = checkpoint.Get($"{module}.qweight", Words, inFeatures / 8, outFeatures);
        TensorEntry qzeros = checkpoint.Get($"{module}.qzeros", Words, groups, outFeatures / 8);
        TensorEntry scales = checkpoint.Get($"{module}.scales", ScaleTypes, groups, outFeatures);
        TensorEntry? gIdx = checkpoint.Find($"{module}.g_idx");
        if (gIdx is not null)
            gIdx = checkpoint.Get($"{module}.g_idx", Words, inFeatures);
        return new GptqModule(qweight, qzeros, scales, gIdx, GroupSize);
    }

    /// <summary>Reads <c>g_idx</c> and <c>qzeros</c>, which must hold what the packing assumes.</summary>
    /// <exception cref="NotSupportedException">Inputs are out of order, or zero points are asymmetric.</exception>
    public static void CheckContents(Checkpoint checkpoint, GptqModule module)
    {
        if (module.GIdx is { } gIdx)
            RequireInOrder(checkpoint, gIdx, module.GroupSize);
        RequireSymmetric(checkpoint, module.QZeros);
    }

    private static void RequireInOrder(Checkpoint checkpoint, TensorEntry gIdx, int groupSize) =>
        Scan(checkpoint, gIdx, (groups, first) =>
        {
            for (int i = 0; i < groups.Length; i++)
            {
                if (groups[i] != (first + i) / groupSize)
                {
                    throw new NotSupportedException(
                        $"{checkpoint.PathOf(gIdx)}: tensor {gIdx.Name} puts input {first + i} in group {groups[i]}, "
                        + $"not in {(first + i) / groupSize}: desc_act (act-order) is not supported");
                }
            }
        });

    private static void RequireSymmetric(Checkpoint checkpoint, TensorEntry qzeros) =>
        Scan(checkpoint, qzeros, (words, first) =>
        {
            int other = words.IndexOfAnyExcept(SymmetricZeros);
            if (other >= 0)
            {
                throw new NotSupportedException(
                    $"{checkpoint.PathOf(qzeros)}: tensor {qzeros.Name} holds 0x{words[other]:x8} at word {first + other}, "
                    + $"symmetric weights have 0x{SymmetricZeros:x8}: asymmetric zero points are not supported");
            }
        });

    private static void Scan(Checkpoint checkpoint, TensorEntry tensor, ReadOnlySpanAction<int, long> check)
    {
        byte[] block = ArrayPool<byte>.Shared.Rent(BlockBytes);
        try
        {
            for (long offset = 0; offset < tensor.LengthBytes; offset += BlockBytes)
            {
                Span<byte> bytes = block.AsSpan(0, (int)Math.Min(BlockBytes, tensor.LengthBytes - offset));
                checkpoint.Read(tensor, offset, bytes);
                check(MemoryMarshal.Cast<byte, int>(bytes), offset / sizeof(int));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(block);
        }
    }

    private static void RefuseFormats(JsonSection json)
    {
        if (json.Text("checkpoint_format") is not (null or "gptq"))
            throw json.Unsupported("checkpoint_format", "gptq (v1)");
        if (json.Bool("is_marlin_format") == true)
            throw json.Unsupported("is_marlin_format", "false");
        if (json.Text("pack_dtype") is not (null or "int32"))
            throw json.Unsupported("pack_dtype", "int32");
    }

    private static void RefusePackings(JsonSection json)
    {
        if (Whole(json, "bits") is not (null or 4))
            throw json.Unsupported("bits", "4");
        if (Whole(json, "group_size") is not (null or SupportedGroupSize))
            throw json.Unsupported("group_size", "128");
        if (json.Bool("sym") == false)
            throw json.Unsupported("sym", "true");
        if (json.Bool("desc_act") == true)
            throw json.Unsupported("desc_act", "false");
    }

    private static int? Whole(JsonSection json, string key) => json.Int(key, int.MinValue, int.MaxValue);
}

/// <summary>GPTQ v1, 4 bits, symmetric: eight inputs a word, low nibble first; W[o, i] = scale[i / group, o] · (code[i, o] − 8).</summary>
/// <param name="QWeight">I32 [K / 8, N].</param>
/// <param name="QZeros">I32 [G, N / 8], every word 0x77777777.</param>
/// <param name="Scales">F16 or BF16 [G, N].</param>
/// <param name="GIdx">I32 [K], equal to i / group, or null.</param>
/// <param name="GroupSize">Inputs that share a scale; G = ⌈K / group⌉.</param>
internal sealed record GptqModule(TensorEntry QWeight, TensorEntry QZeros, TensorEntry Scales, TensorEntry? GIdx, int GroupSize)
    : ModuleEncoding
{
    public override string Text => $"GPTQ INT4, symmetric, groups of {GroupSize}, scales {Scales.TypeName}";

    public override long StoredBytes => QWeight.LengthBytes + QZeros.LengthBytes + Scales.LengthBytes + (GIdx?.LengthBytes ?? 0);
}
