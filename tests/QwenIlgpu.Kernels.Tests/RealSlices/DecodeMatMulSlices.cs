using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Rows of projections in decode: a key projection of one token, with riders rows of q | k | v | z and all of b | a; of more tokens rows of
/// the down projection and of the attention's output.
/// </summary>
internal static class DecodeMatMulSlices
{
    private const float Eps = 1e-6f;

    private static readonly Operand16[] Operands = [Operand16.Bf16, Operand16.F16];

    // Tiles by their name in the catalogue, storage, group size, and whether plain rows ride along.
    private static readonly (string Tiles, string Format, int Group, bool Rides)[] Formats =
        [("Int4Tiles", "int4", 128, false), ("Int4Tiles", "int4", 128, true), ("Int4HalfTiles", "int4", 32, false),
         ("Int8Tiles", "int8", 128, false), ("Fp8Tiles", "fp8", 128, false), ("Fp4Tiles", "fp4", 16, false), ("DenseTiles", "", 0, false)];

    // One token; up to 16; up to 64.
    private static readonly (string TokenTiles, int M, int N, int K)[] Shapes =
        [("", 1, 1024, 5120), ("Two", 16, 256, 17408), ("Eight", 64, 256, 6144)];

    public static IEnumerable<Slice> All =>
    [
        .. from operand in Operands
           from format in Formats
           where TakesOperand(format.Format, operand)
           from shape in Shapes
           select Of(operand, format, shape),
        .. Operands.Select(Pack),
        LargestLogit,
    ];

    /// <summary>As the catalogue writes it: <c>Int4Tiles&lt;Bf16Operand&gt;</c>.</summary>
    public static string TilesName(string tiles, Operand16 operand) => tiles is "Fp8Tiles" or "Fp4Tiles" ? tiles : $"{tiles}<{operand}Operand>";

    /// <summary>FP8 and FP4 are multiplied as bf16 alone.</summary>
    public static bool TakesOperand(string format, Operand16 operand) => operand == Operand16.Bf16 || format is not ("fp8" or "fp4");

    /// <summary>The storage that a format of plain weights has with an operand type.</summary>
    public static string Storage(string format, Operand16 operand) =>
        format.Length > 0 ? format : operand == Operand16.F16 ? "f16" : "bf16";

    /// <summary>[34816, 5120] in groups of 128, random codes with a scale a group.</summary>
    public static SliceResult GateAndUp(TestDevice device)
    {
        const int Rows = 2 * 17408;
        const int K = 5120;
        var random = new Random(1);
        var codes = new UInt4[Int4Layout.CodeBytes(Rows, K, 128) / 16];
        random.NextBytes(MemoryMarshal.AsBytes(codes.AsSpan()));
        var scales = new ushort[Int4Layout.ScaleBytes(Rows, K, 128) / sizeof(ushort)];
        for (int i = 0; i < scales.Length; i++)
            scales[i] = Bf16.FromFloat(0.01f * (1 + (3 * random.NextSingle())));
        var packed = new Int4Reference(Rows, K, 128, codes, scales);
        float[] x = Seeded.Floats(2, K);
        Matrix<float> y = device.Poisoned<float>(1, Rows);
        device.Run(DecodeMatMul.Bind(
            device.Loader, new MatMulRows(device.Upload(x, 1, K)),
            [new Projection(Quantized.Upload(device, packed, WeightType.Bf16), y)], default, Operand16.Bf16,
            DecodeRun.Scratch(1, K, [Rows], on: device)));
        float[] actual = device.Download(y);
        return new SliceResult(() =>
        {
            double worst = ParallelEnumerable.Range(0, Rows / 16).Max(tile => DecodeRun.Deviation(
                actual[(16 * tile)..(16 * (tile + 1))], x, RowsOf(packed, 16 * tile, 16), 1, 16, K, Operand16.Bf16));
            Assert.That(worst, Is.LessThanOrEqualTo(1));
        });
    }

    private static Slice Of(
        Operand16 operand, (string Tiles, string Format, int Group, bool Rides) format, (string TokenTiles, int M, int N, int K) shape)
    {
        string kernel = shape.M == 1 ? "DecodeMatMulKernel" : "PackedDecodeMatMulKernel";
        string riders = format.Rides ? "DenseRiders" : "NoRiders";
        string tokens = shape.M == 1 ? "" : $", {shape.TokenTiles}";
        return new Slice($"{kernel}<{TilesName(format.Tiles, operand)}, {riders}, {operand}Operand{tokens}>", device =>
        {
            (int m, int n, int k) = (shape.M, shape.N, shape.K);
            float[] x = Seeded.Floats(m + k, m * k);
            int[] rows = format.Rides ? [n, 96] : [n];
            DecodeWeights[] weights =
            [
                DecodeWeights.Random(Storage(format.Format, operand), n, k, format.Group, WeightType.Bf16, 3),
                .. format.Rides ? [DecodeWeights.Random(Storage("", operand), 96, k, 0, WeightType.Bf16, 4)] : (DecodeWeights[])[],
            ];
            Matrix<float>[] ys = [.. rows.Select(r => device.Poisoned<float>(m, r))];
            device.Run(DecodeMatMul.Bind(
                device.Loader, new MatMulRows(device.Upload(x, m, k)),
                [.. weights.Zip(ys, (w, y) => new Projection(w.Upload(device), y))], default, operand,
                DecodeRun.Scratch(m, k, rows, on: device)));
            float[][] actual = [.. ys.Select(y => device.Download(y))];
            return new SliceResult(() =>
            {
                for (int i = 0; i < rows.Length; i++)
                {
                    Assert.That(
                        DecodeRun.Deviation(actual[i], x, weights[i].Values, m, rows[i], k, operand), Is.LessThanOrEqualTo(1), $"projection {i}");
                }
            }).Leaving([.. actual.SelectMany(y => y)]);
        });
    }

    // What it packs is seen through the matmul: normalised rows, rounded, times weights.
    private static Slice Pack(Operand16 operand) => new($"PackRowsKernel<{operand}Operand>", device =>
    {
        (int m, int n, int k) = (9, 64, 5120);
        float[] x = Seeded.Floats(5, m * k);
        float[] norm = Seeded.Floats(6, k);
        DecodeWeights weights = DecodeWeights.Random("int4", n, k, 128, WeightType.Bf16, 7);
        Matrix<float> y = device.Poisoned<float>(m, n);
        device.Run(DecodeMatMul.Bind(
            device.Loader, new MatMulRows(device.Upload(x, m, k), device.Upload(norm), Eps), [new Projection(weights.Upload(device), y)],
            default, operand, DecodeRun.Scratch(m, k, [n], on: device)));
        float[] actual = device.Download(y);
        return new SliceResult(() =>
        {
            float[] normalised =
                [.. RmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(norm), m, Eps).Select(v => (float)v)];
            Assert.That(DecodeRun.Deviation(actual, normalised, weights.Values, m, n, k, operand), Is.LessThanOrEqualTo(1));
        }).Leaving(actual);
    });

    // 2000 ids of a head whose rows reach to 2048.
    private static Slice LargestLogit => new("LargestLogitKernel", device =>
    {
        (int m, int n, int k) = (2, 2048, 5120);
        DecodeWeights weights = DecodeWeights.Random("bf16", n, k, 0, WeightType.Bf16, 8);
        Matrix<float> logits = device.Poisoned<float>(m, n);
        ArrayView<int> ids = device.Poisoned<int>(m);
        device.Run(DecodeMatMul.Bind(
            device.Loader, new MatMulRows(device.Upload(Seeded.Floats(9, m * k), m, k)),
            [new Projection(weights.Upload(device), logits)], new Epilogue(ArgMax: new ArgMaxOutput(ids, 2000)),
            Operand16.Bf16, DecodeRun.Scratch(m, k, [n], argMax: true, on: device)));
        int[] actual = device.Download(ids);
        float[] values = device.Download(logits);
        return new SliceResult(() =>
        {
            int[] expected = [.. values.Chunk(n).Select(row => Array.IndexOf(row, row[..2000].Max()))];
            Assert.That(actual, Is.EqualTo(expected));
        }).Leaving(actual).Leaving(values);
    });

    private static double[] RowsOf(Int4Reference packed, int first, int count)
    {
        var values = new double[count * packed.Columns];
        for (int i = 0; i < values.Length; i++)
        {
            (int row, int k) = (first + (i / packed.Columns), i % packed.Columns);
            double scale = Bf16.ToFloat(packed.Scales[Int4Layout.ScaleIndex(row, k / packed.GroupSize, packed.Groups)]);
            values[i] = scale * (packed.Code(row, k) - Int4Layout.Zero);
        }

        return values;
    }
}
