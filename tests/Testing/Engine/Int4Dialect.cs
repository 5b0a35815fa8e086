using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Testing;

/// <summary>
/// A way in which checkpoints store 4-bit weights, and the tiny GPTQ checkpoint written so anew: the same weights to the bit, in groups of
/// another size and, where zero points are stored, with other ones and codes moved along with them. With act-order each group takes its
/// inputs from anywhere among those that shared a scale.
/// </summary>
internal sealed record Int4Dialect(
    string Name, Int4SourceReference Packing, int GroupSize, bool HasZeros, Func<int, JsonObject> Section, bool IsCompressedTensors = false,
    bool IsActOrder = false, bool HasF32Scales = false)
{
    private const int TinyGroupSize = 128;

    public static Int4Dialect ActOrder { get; } =
        new("GPTQ v1, g32, act-order", Int4SourceReference.GptqV1, 32, true, size => Gptq(size, "gptq", symmetric: false), IsActOrder: true);

    public static Int4Dialect[] All { get; } =
    [
        new("GPTQ v1, g32, asymmetric", Int4SourceReference.GptqV1, 32, true, size => Gptq(size, "gptq", symmetric: false)),
        new("GPTQ v1, g64, asymmetric, said to be symmetric", Int4SourceReference.GptqV1, 64, true, size => Gptq(size, "gptq", symmetric: true)),
        new("GPTQ v2, g64, asymmetric", Int4SourceReference.GptqV2, 64, true, size => Gptq(size, "gptq_v2", symmetric: false)),
        new("AWQ, g64", Int4SourceReference.Awq, 64, true, Awq),
        new("AWQ without zero points", Int4SourceReference.Awq, 128, false, Awq),
        new("AutoRound as GPTQ, g64", Int4SourceReference.GptqV1, 64, true, size => AutoRound(size, "auto_round:auto_gptq")),
        new("AutoRound as AWQ, g64", Int4SourceReference.Awq, 64, true, size => AutoRound(size, "auto_round:auto_awq")),
        new("compressed-tensors", Int4SourceReference.CompressedTensors, 128, false, CompressedTensors, IsCompressedTensors: true),
        new("compressed-tensors, g32, asymmetric", Int4SourceReference.CompressedTensors, 32, true, CompressedTensors, IsCompressedTensors: true),
        ActOrder,
        new("GPTQ v2, g64, act-order", Int4SourceReference.GptqV2, 64, true, size => Gptq(size, "gptq_v2", symmetric: false), IsActOrder: true),
        new("AWQ with a g_idx", Int4SourceReference.Awq, 64, true, Awq, IsActOrder: true),
        new("compressed-tensors, g32, act-order", Int4SourceReference.CompressedTensors, 32, true, CompressedTensors, true, IsActOrder: true),
        new("GPTQ v1, g32, act-order, scales in F32", Int4SourceReference.GptqV1, 32, true, size => Gptq(size, "gptq", symmetric: false), false, true, true),
        new("compressed-tensors, scales in F32", Int4SourceReference.CompressedTensors, 128, false, CompressedTensors, true, HasF32Scales: true),
    ];

    public override string ToString() => Name;

    /// <summary>The checkpoint, and how many of its zero points are not 8.</summary>
    public (TinyCopy Copy, int Moved) Write()
    {
        int zeros = 0;
        var copy = new TinyCopy(TestData.TinyGptqModel);
        copy.Edit("config.json", json => json["quantization_config"] = Section(GroupSize));
        foreach (string codes in copy.Names.Where(n => n.EndsWith(".qweight", StringComparison.Ordinal)).ToArray())
            zeros += Rewrite(copy, codes[..^".qweight".Length]).Zeros.Count(zero => zero != Int4Layout.Zero);
        copy.Save();
        return (copy, zeros);
    }

    private Int4Reference Rewrite(TinyCopy copy, string module)
    {
        (int octets, int rows) = ((int)copy.ShapeOf($"{module}.qweight")[0], (int)copy.ShapeOf($"{module}.qweight")[1]);
        int columns = 8 * octets;
        Int4Reference stored = Int4SourceReference.GptqV1.Pack(
            new Int4Source(Words(copy, $"{module}.qweight"), Scales(copy, $"{module}.scales"), []), rows, columns, TinyGroupSize);
        int[] order = OrderOf(module, columns);
        Int4Reference moved = Moved(stored, order);
        Int4Source source = Packing.Unpack(Unsorted(moved, order));
        foreach (string part in (string[])["qweight", "qzeros", "scales", "g_idx"])
            copy.Remove($"{module}.{part}");

        bool isAwq = Packing == Int4SourceReference.Awq;
        long[] codes = IsCompressedTensors ? [rows, octets] : isAwq ? [columns, rows / 8] : [octets, rows];
        (string codesName, string scalesName, string zerosName) =
            IsCompressedTensors ? ("weight_packed", "weight_scale", "weight_zero_point") : ("qweight", "scales", "qzeros");
        copy.Put($"{module}.{codesName}", TensorType.I32, codes, Bytes<int>(source.Words));
        copy.Put(
            $"{module}.{scalesName}", HasF32Scales ? TensorType.F32 : TensorType.F16, Lying(moved.Groups, rows),
            HasF32Scales ? Bytes<float>(Array.ConvertAll(source.Scales, F16.ToFloat)) : Bytes<ushort>(source.Scales));
        if (HasZeros)
            copy.Put($"{module}.{zerosName}", TensorType.I32, Lying(moved.Groups, rows / 8), Bytes<int>(source.Zeros));
        if (IsActOrder)
            copy.Put($"{module}.{(IsCompressedTensors ? "weight_g_idx" : "g_idx")}", TensorType.I32, [columns], Bytes<int>(GroupsOf(order)));
        if (IsCompressedTensors)
            copy.Put($"{module}.weight_shape", TensorType.I64, [2], Bytes<long>([rows, columns]));
        return moved;
    }

    // Inputs in the order of their groups: those of a stored group make up whole ones of the smaller size, which then stand in any order.
    // k and v have the same order, gate and up too; q and k do not, nor qkv and z; out_proj is sorted.
    private int[] OrderOf(string module, int columns)
    {
        int[] order = [.. Enumerable.Range(0, columns)];
        string name = module[(module.LastIndexOf('.') + 1)..];
        if (!IsActOrder || name == "out_proj")
            return order;
        var random = new Random(name switch { "k_proj" or "v_proj" => 1, "gate_proj" or "up_proj" => 2, "q_proj" or "in_proj_z" => 3, _ => 4 });
        for (int first = 0; first < columns; first += TinyGroupSize)
            random.Shuffle(order.AsSpan(first, Math.Min(TinyGroupSize, columns - first)));
        int[][] groups = [.. order.Chunk(GroupSize)];
        random.Shuffle(groups);
        return [.. groups.SelectMany(inputs => inputs)];
    }

    private int[] GroupsOf(int[] order)
    {
        var groups = new int[order.Length];
        for (int place = 0; place < order.Length; place++)
            groups[order[place]] = place / GroupSize;
        return groups;
    }

    // Codes where their inputs are; scales and zero points stay with their groups.
    private static Int4Reference Unsorted(Int4Reference sorted, int[] order)
    {
        var stored = new Int4Reference(sorted.Rows, sorted.Columns, sorted.GroupSize, new UInt4[sorted.Codes.Length], sorted.Scales, sorted.Zeros);
        for (int row = 0; row < sorted.Rows; row++)
        {
            for (int place = 0; place < order.Length; place++)
                stored.SetCode(row, order[place], sorted.Code(row, place));
        }

        return stored;
    }

    // A group whose codes leave room moves down by one, its zero point with it, or up by as much as there is room: zero points of 0 … 15.
    private Int4Reference Moved(Int4Reference stored, int[] order)
    {
        var moved = new Int4Reference(stored.Rows, stored.Columns, GroupSize, HasZeros);
        for (int row = 0; row < stored.Rows; row++)
        {
            for (int group = 0; group < moved.Groups; group++)
            {
                int[] inputs = order[(group * GroupSize)..Math.Min((group + 1) * GroupSize, order.Length)];
                int[] codes = [.. inputs.Select(k => stored.Code(row, k))];
                int by = !HasZeros ? 0 : (row + group) % 2 == 0 ? -Math.Min(codes.Min(), Int4Layout.Zero) : Math.Min(15 - codes.Max(), 15 - Int4Layout.Zero);
                long scale = Int4Layout.ScaleIndex(row, group, moved.Groups);
                moved.Scales[scale] = stored.Scales[Int4Layout.ScaleIndex(row, inputs[0] / TinyGroupSize, stored.Groups)];
                if (HasZeros)
                    moved.Zeros[scale] = (byte)(Int4Layout.Zero + by);
                for (int i = 0; i < inputs.Length; i++)
                    moved.SetCode(row, (group * GroupSize) + i, codes[i] + by);
            }
        }

        return moved;
    }

    private long[] Lying(long groups, long rows) => IsCompressedTensors ? [rows, groups] : [groups, rows];

    private static int[] Words(TinyCopy copy, string tensor) => MemoryMarshal.Cast<byte, int>(copy.BytesOf(tensor)).ToArray();

    private static ushort[] Scales(TinyCopy copy, string tensor) => MemoryMarshal.Cast<byte, ushort>(copy.BytesOf(tensor)).ToArray();

    private static byte[] Bytes<T>(ReadOnlySpan<T> values)
        where T : unmanaged => MemoryMarshal.AsBytes(values).ToArray();

    private static JsonObject Gptq(int groupSize, string format, bool symmetric) => new()
    {
        ["quant_method"] = "gptq", ["bits"] = 4, ["group_size"] = groupSize, ["sym"] = symmetric, ["desc_act"] = false, ["checkpoint_format"] = format,
    };

    private static JsonObject Awq(int groupSize) => new()
    {
        ["quant_method"] = "awq", ["bits"] = 4, ["group_size"] = groupSize, ["zero_point"] = true, ["version"] = "gemm",
        ["modules_to_not_convert"] = new JsonArray("in_proj_a", "in_proj_b"),
    };

    private static JsonObject AutoRound(int groupSize, string format) => new()
    {
        ["quant_method"] = "auto-round", ["bits"] = 4, ["group_size"] = groupSize, ["sym"] = true, ["data_type"] = "int",
        ["packing_format"] = format,
    };

    private static JsonObject CompressedTensors(int groupSize) => new()
    {
        ["quant_method"] = "compressed-tensors",
        ["format"] = "pack-quantized",
        ["config_groups"] = new JsonObject
        {
            ["group_0"] = new JsonObject
            {
                ["targets"] = new JsonArray("Linear"),
                ["weights"] = new JsonObject { ["num_bits"] = 4, ["type"] = "int", ["strategy"] = "group", ["group_size"] = groupSize },
            },
        },
        ["ignore"] = new JsonArray("lm_head"),
    };
}
