using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Every instruction from words to a word: y[op, i] = op(a[i], b[i], c[i]), floats as their bits. a, b, c: [n]; y: [<see cref="Ops"/>, n].
/// </summary>
internal readonly struct WordKernel(ArrayView<uint> a, ArrayView<uint> b, ArrayView<uint> c, ArrayView<uint> y) : IGroupKernel
{
    public const int F16Subtract = 0;
    public const int F16Fma = 1;
    public const int F16Pack = 2;
    public const int F16Low = 3;
    public const int F16High = 4;
    public const int Bf16Subtract = 5;
    public const int Bf16Pack = 6;
    public const int Bf16Multiply = 7;
    public const int LowNibblesToF16 = 8;
    public const int HighNibblesToF16 = 9;
    public const int LowNibblesToBf16 = 10;
    public const int Permute = 11;
    public const int Fma = 12;
    public const int Exp2 = 13;
    public const int Rsqrt = 14;
    public const int Reciprocal = 15;
    public const int MiddleNibblesToBf16 = 16;
    public const int SevenBitsToBf16 = 17;
    public const int SignsToBf16 = 18;
    public const int Ops = 19;

    public ArrayView<uint> Results => y;

    public static void Words(WordKernel kernel) => kernel.Execute();

    public void Execute()
    {
        int n = (int)a.Length;
        for (int i = Grid.GlobalIndex.X; i < n; i += Grid.DimX * Group.DimX)
        {
            uint p = a[i];
            uint q = b[i];
            uint r = c[i];
            float u = Interop.IntAsFloat(p);
            float v = Interop.IntAsFloat(q);
            float w = Interop.IntAsFloat(r);
            y[(F16Subtract * n) + i] = F16x2.Subtract(p, q);
            y[(F16Fma * n) + i] = F16x2.Fma(p, q, r);
            y[(F16Pack * n) + i] = F16x2.Pack(u, v);
            y[(F16Low * n) + i] = Interop.FloatAsInt(F16x2.Low(p));
            y[(F16High * n) + i] = Interop.FloatAsInt(F16x2.High(p));
            y[(Bf16Subtract * n) + i] = Bf16x2.Subtract(p, q);
            y[(Bf16Multiply * n) + i] = Bf16x2.Multiply(p, q);
            y[(Bf16Pack * n) + i] = Bf16x2.Pack(u, v);
            y[(Bf16Multiply * n) + i] = Bf16x2.Multiply(p, q);
            y[(LowNibblesToF16 * n) + i] = Bits.LowNibblesToF16x2(p);
            y[(HighNibblesToF16 * n) + i] = Bits.HighNibblesToF16x2(p);
            y[(LowNibblesToBf16 * n) + i] = Bits.LowNibblesToBf16x2(p);
            y[(MiddleNibblesToBf16 * n) + i] = Bits.MiddleNibblesToBf16x2(p);
            y[(SevenBitsToBf16 * n) + i] = Bits.SevenBitsToBf16x2(p);
            y[(SignsToBf16 * n) + i] = Bits.SignsToBf16x2(p);
            y[(Permute * n) + i] = Bits.Permute(p, q, r);
            y[(Fma * n) + i] = Interop.FloatAsInt(Float32.Fma(u, v, w));
            y[(Exp2 * n) + i] = Interop.FloatAsInt(Float32.Exp2(u));
            y[(Rsqrt * n) + i] = Interop.FloatAsInt(Float32.Rsqrt(u));
            y[(Reciprocal * n) + i] = Interop.FloatAsInt(Float32.Reciprocal(u));
        }
    }
}
