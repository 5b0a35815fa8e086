using System.Runtime.InteropServices;
using static QwenIlgpu.Kernels.Tests.DecodeMatMulSlices;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>256 rows of a projection of 5120 over a tile of tokens and two of the next, for each tile; and the rows' rounding before it.</summary>
internal static class PrefillMatMulSlices
{
    private const int N = 256;
    private const int K = 5120;
    private const float Eps = 1e-6f;

    private static readonly (string Tiles, string Format, int Group)[] Formats =
        [("Int4Tiles", "int4", 128), ("Int4HalfTiles", "int4", 32), ("Int8Tiles", "int8", 128), ("Fp8Tiles", "fp8", 128), ("Fp4Tiles", "fp4", 16),
         ("DenseTiles", "", 0)];

    public static IEnumerable<Slice> All =>
    [
        .. from operand in new[] { Operand16.Bf16, Operand16.F16 }
           from format in Formats
           where TakesOperand(format.Format, operand)
           from tile in PrefillTiles.Of(format.Format == "int8" ? PrefillFormat.Int8 : PrefillFormat.Int4)
           select Of(operand, format, tile),
        RoundRows(Operand16.Bf16, bits => Bf16.ToFloat(bits), 1.0 / (1 << 8)),
        RoundRows(Operand16.F16, bits => F16.ToFloat(bits), 1.0 / (1 << 11)),
    ];

    private static Slice Of(Operand16 operand, (string Tiles, string Format, int Group) format, PrefillTile tile) => new(
        $"PrefillMatMulKernel<{TilesName(format.Tiles, operand)}, {operand}Operand, {tile}PrefillTile>", device =>
        {
            int m = PrefillTiles.TokensOf(tile) + 2;
            DecodeWeights weights = DecodeWeights.Random(Storage(format.Format, operand), N, K, format.Group, WeightType.Bf16, 5);
            var run = new PrefillRun(device, m, K) { Operand = operand };
            float[] y = tile switch
            {
                PrefillTile.Wide => run.Y<WidePrefillTile>(weights, N),
                PrefillTile.Small => run.Y<SmallPrefillTile>(weights, N),
                _ => run.Y<FewTokensPrefillTile>(weights, N),
            };
            return new SliceResult(() => Assert.That(run.Deviation(y, weights, N), Is.LessThanOrEqualTo(1))).Leaving(y);
        });

    private static Slice RoundRows(Operand16 operand, Func<ushort, float> widen, double unit) =>
        new($"RoundRowsKernel<{operand}Operand>", device =>
        {
            const int Rows = 17;
            float[] x = Seeded.Floats(1, Rows * K);
            float[] norm = Seeded.Floats(2, K);
            var packed = new PrefillRows(device.Poisoned<UInt4>(PrefillRows.Length(Rows, K)), Rows, K, operand);
            device.Run(PrefillMatMul.BindRound(
                device.Loader, new MatMulRows(device.Upload(x, Rows, K), device.Upload(norm), Eps), packed));
            UInt4[] words = device.Download(packed.Words);
            return new SliceResult(() =>
            {
                double[] expected = RmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(norm), Rows, Eps);
                ReadOnlySpan<ushort> bits = MemoryMarshal.Cast<UInt4, ushort>(words.AsSpan());
                for (int i = 0; i < expected.Length; i++)
                {
                    // Half a unit in the last place of 8 or 11 bits, 2 % for the norm's own roundings of 2^-24, and where f16 is subnormal its smallest step.
                    double allowed = (Math.Abs(expected[i]) * unit * 1.02) + 6e-8;
                    Assert.That(Math.Abs(widen(bits[i]) - expected[i]), Is.LessThanOrEqualTo(allowed), $"element {i}");
                }
            }).Leaving(words);
        });
}
