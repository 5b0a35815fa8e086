using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Testing;

/// <summary>
/// A way in which checkpoints store weights in FP8 and FP4: the tiny checkpoint rounded to it, and beside it the same rounded weights in F32.
/// Everything here is written from the definitions of the formats.
/// </summary>
/// <param name="Name">Of the test case.</param>
/// <param name="Section">The checkpoint's <c>quantization_config</c>.</param>
/// <param name="StorageOf">How a module is stored.</param>
/// <param name="IsExactOnAGpu">Whether formats on a GPU hold it.</param>
internal sealed record LowFloatDialect(string Name, string Section, Func<string, LowFloatStorage> StorageOf, bool IsExactOnAGpu = true)
{
    private static readonly double[] E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
    private static readonly double[] E4M3 = [.. Enumerable.Range(0, 127).Select(E4M3Value)];

    public static LowFloatDialect[] All { get; } =
    [
        new("FP8, blocks of 128", """{"quant_method":"fp8","fmt":"e4m3","weight_block_size":[128,128]}""", _ => LowFloatStorage.Fp8Blocks),
        new("FP8, a scale a row", CompressedTensors("float-quantized", """{"num_bits":8,"type":"float","strategy":"channel"}"""), _ => LowFloatStorage.Fp8Rows),
        new("NVFP4", CompressedTensors("nvfp4-pack-quantized", """{"num_bits":4,"type":"float","strategy":"tensor_group","group_size":16}"""), _ => LowFloatStorage.Nvfp4Divided),
        new("MXFP4", CompressedTensors("mxfp4-pack-quantized", """{"num_bits":4,"type":"float","strategy":"group","group_size":32}"""), _ => LowFloatStorage.Mxfp4),
        new("MXFP4, scales spread wide", CompressedTensors("mxfp4-pack-quantized", """{"num_bits":4,"type":"float","strategy":"group","group_size":32}"""), _ => LowFloatStorage.Mxfp4Wide, IsExactOnAGpu: false),
        new("ModelOpt, FP8 and NVFP4", """{"quant_method":"modelopt","quant_algo":"MIXED_PRECISION"}""",
            module => module.Contains(".mlp.", StringComparison.Ordinal) || module == "lm_head" ? LowFloatStorage.Nvfp4 : LowFloatStorage.Fp8Matrix),
    ];

    public override string ToString() => Name;

    /// <summary>The rounded checkpoint, and the same weights in F32.</summary>
    public (TinyCopy Rounded, TinyCopy Plain) Write()
    {
        (var rounded, var plain) = (new TinyCopy(), new TinyCopy());
        rounded.Edit("config.json", json => json["quantization_config"] = JsonNode.Parse(Section));
        foreach (string weight in rounded.Names.Where(IsRounded).ToArray())
        {
            (int rows, int columns) = ((int)rounded.ShapeOf(weight)[0], (int)rounded.ShapeOf(weight)[1]);
            float[] values = [.. MemoryMarshal.Cast<byte, ushort>(rounded.BytesOf(weight)).ToArray().Select(b => BitConverter.UInt32BitsToSingle((uint)b << 16))];
            string module = weight[..^".weight".Length];
            double[] stored = Store(rounded, module, values, rows, columns, StorageOf(module));
            plain.Put(weight, TensorType.F32, [rows, columns], MemoryMarshal.AsBytes<float>([.. stored.Select(w => (float)w)]).ToArray());
        }

        rounded.Save();
        plain.Save();
        return (rounded, plain);
    }

    private bool IsRounded(string name) =>
        name.EndsWith("proj.weight", StringComparison.Ordinal) || name.EndsWith("_qkv.weight", StringComparison.Ordinal)
        || name.EndsWith("_z.weight", StringComparison.Ordinal) || (name == "lm_head.weight" && StorageOf("lm_head") == LowFloatStorage.Nvfp4);

    private static double[] Store(TinyCopy copy, string module, float[] w, int rows, int columns, LowFloatStorage storage)
    {
        copy.Remove($"{module}.weight");
        return storage switch
        {
            LowFloatStorage.Fp8Blocks => StoreFp8(copy, module, w, rows, columns, 128, 128, "weight_scale_inv", TensorType.BF16),
            LowFloatStorage.Fp8Rows => StoreFp8(copy, module, w, rows, columns, 1, columns, "weight_scale", TensorType.BF16),
            LowFloatStorage.Fp8Matrix => StoreFp8(copy, module, w, rows, columns, rows, columns, "weight_scale", TensorType.F32),
            LowFloatStorage.Nvfp4 => StoreNvfp4(copy, module, w, rows, columns, "weight", "weight_scale_2", divides: false),
            LowFloatStorage.Nvfp4Divided => StoreNvfp4(copy, module, w, rows, columns, "weight_packed", "weight_global_scale", divides: true),
            _ => StoreMxfp4(copy, module, w, rows, columns, isWide: storage == LowFloatStorage.Mxfp4Wide),
        };
    }

    private static double[] StoreFp8(
        TinyCopy copy, string module, float[] w, int rows, int columns, int blockRows, int blockColumns, string name, TensorType type)
    {
        (int down, int across) = ((rows + blockRows - 1) / blockRows, (columns + blockColumns - 1) / blockColumns);
        var scales = new float[down * across];
        for (int i = 0; i < w.Length; i++)
            Largest(ref scales[Block(i)], w[i]);
        for (int i = 0; i < scales.Length; i++)
            scales[i] = type == TensorType.BF16 ? BitConverter.UInt32BitsToSingle(BitConverter.SingleToUInt32Bits(scales[i] / 448) & 0xffff0000) : scales[i] / 448;
        byte[] codes = [.. w.Select((value, i) => Nearest(E4M3, value / scales[Block(i)], signBit: 128))];
        copy.Put($"{module}.weight", TensorType.F8E4M3, [rows, columns], codes);
        copy.Put($"{module}.{name}", type, across == 1 && down == 1 ? [] : [down, across], type == TensorType.BF16
            ? [.. scales.SelectMany(s => BitConverter.GetBytes((ushort)(BitConverter.SingleToUInt32Bits(s) >> 16)))]
            : MemoryMarshal.AsBytes<float>(scales).ToArray());
        return [.. codes.Select((code, i) => Value(E4M3, code, 128) * scales[Block(i)])];

        int Block(int i) => (i / columns / blockRows * across) + (i % columns / blockColumns);
    }

    private static double[] StoreNvfp4(TinyCopy copy, string module, float[] w, int rows, int columns, string codesName, string globalName, bool divides)
    {
        float largest = w.Max(Math.Abs);
        float global = divides ? 6 * 448 / largest : largest / (6 * 448);
        double factor = divides ? 1.0 / global : global;
        var scales = new byte[w.Length / 16];
        for (int group = 0; group < scales.Length; group++)
            scales[group] = Nearest(E4M3, w.AsSpan(16 * group, 16).ToArray().Max(Math.Abs) / 6 / factor, signBit: 128);
        double[] steps = [.. scales.Select(s => Value(E4M3, s, 128) * factor)];
        double[] stored = StoreFp4(copy, $"{module}.{codesName}", w, rows, columns, i => steps[i / 16]);
        copy.Put($"{module}.weight_scale", TensorType.F8E4M3, [rows, columns / 16], scales);
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, global);
        copy.Put($"{module}.{globalName}", TensorType.F32, divides ? [1] : [], bytes);
        return stored;
    }

    // Wide: one group of each row has weights too small to be seen, and an exponent far from the others'.
    private static double[] StoreMxfp4(TinyCopy copy, string module, float[] w, int rows, int columns, bool isWide)
    {
        var exponents = new byte[w.Length / 32];
        for (int group = 0; group < exponents.Length; group++)
        {
            if (isWide && group * 32 % columns == 0)
                w.AsSpan(32 * group, 32).Fill(1e-20f);
            exponents[group] = (byte)Math.Clamp(127 + Math.Floor(Math.Log2(Math.Max(w.AsSpan(32 * group, 32).ToArray().Max(Math.Abs), 1e-30) / 4)), 0, 254);
        }

        double[] stored = StoreFp4(copy, $"{module}.weight_packed", w, rows, columns, i => Math.Pow(2, exponents[i / 32] - 127));
        copy.Put($"{module}.weight_scale", TensorType.U8, [rows, columns / 32], exponents);
        return stored;
    }

    private static double[] StoreFp4(TinyCopy copy, string name, float[] w, int rows, int columns, Func<int, double> step)
    {
        byte[] codes = [.. w.Select((value, i) => step(i) == 0 ? (byte)0 : Nearest(E2M1, value / step(i), signBit: 8))];
        copy.Put(name, TensorType.U8, [rows, columns / 2], [.. codes.Chunk(2).Select(pair => (byte)(pair[0] | (pair[1] << 4)))]);
        return [.. codes.Select((code, i) => Value(E2M1, code, 8) * step(i))];
    }

    private static byte Nearest(double[] values, double value, int signBit)
    {
        int at = Array.BinarySearch(values, Math.Abs(value));
        int above = at < 0 ? ~at : at;
        int nearest = above == values.Length || (above > 0 && Math.Abs(value) - values[above - 1] < values[above] - Math.Abs(value)) ? above - 1 : above;
        return (byte)(nearest | (value < 0 ? signBit : 0));
    }

    private static double Value(double[] values, byte code, int signBit) =>
        (code & signBit) != 0 ? -values[code & (signBit - 1)] : values[code & (signBit - 1)];

    private static double E4M3Value(int bits) => bits < 8 ? bits * Math.Pow(2, -9) : (8 + (bits & 7)) * Math.Pow(2, (bits >> 3) - 10);

    private static void Largest(ref float largest, float value) => largest = Math.Max(largest, Math.Abs(value));

    private static string CompressedTensors(string format, string weights) =>
        $$$"""{"quant_method":"compressed-tensors","format":"{{{format}}}","config_groups":{"group_0":{"targets":["Linear"],"weights":{{{weights}}}}},"ignore":["lm_head"]}""";
}

/// <summary>Where scales lie and what they do.</summary>
internal enum LowFloatStorage
{
    Fp8Blocks,
    Fp8Rows,
    Fp8Matrix,
    Nvfp4,
    Nvfp4Divided,
    Mxfp4,
    Mxfp4Wide,
}
