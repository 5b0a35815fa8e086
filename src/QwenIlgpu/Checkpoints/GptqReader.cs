using System.Buffers;
using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>Finds and checks the tensors of a GPTQ module: names, types and shapes from headers, contents when they are loaded.</summary>
internal static class GptqReader
{
    // Stored is zero − 1: the symmetric zero 8 gives eight nibbles of 7.
    private const int SymmetricZeros = 0x77777777;
    private const int BlockBytes = 1 << 16;

    private static readonly TensorType[] Words = [TensorType.I32];
    private static readonly TensorType[] ScaleTypes = [TensorType.F16, TensorType.BF16];

    /// <summary>The module's tensors, for a weight [N, K].</summary>
    public static GptqModule Describe(Checkpoint checkpoint, string module, int outFeatures, int inFeatures)
    {
        int groupSize = checkpoint.Quantization!.GroupSize;
        if (inFeatures % 8 != 0 || outFeatures % 8 != 0)
        {
            throw new InvalidDataException(
                $"{checkpoint.DirectoryPath}: module {module} is quantised, but [{outFeatures}, {inFeatures}] are not multiples of 8");
        }

        long groups = (inFeatures + (long)groupSize - 1) / groupSize;
        TensorEntry qweight = checkpoint.Get($"{module}.qweight", Words, inFeatures / 8, outFeatures);
        TensorEntry qzeros = checkpoint.Get($"{module}.qzeros", Words, groups, outFeatures / 8);
        TensorEntry scales = checkpoint.Get($"{module}.scales", ScaleTypes, groups, outFeatures);
        TensorEntry? gIdx = checkpoint.Find($"{module}.g_idx");
        if (gIdx is not null)
            gIdx = checkpoint.Get($"{module}.g_idx", Words, inFeatures);
        return new GptqModule(qweight, qzeros, scales, gIdx, groupSize);
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
}
