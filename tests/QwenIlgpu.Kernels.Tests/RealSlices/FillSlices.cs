using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Random contents of 256 rows of 5120, and what only reads or copies as many.</summary>
internal static class FillSlices
{
    private const int Rows = 256;
    private const int K = 5120;

    public static IEnumerable<Slice> All =>
    [
        new("RandomCodesKernel", Codes),
        new("RandomBf16Kernel", Values),
        new("CopyWordsKernel", Copy),
        new("ReadWordsKernel", Read),
    ];

    private static SliceResult Codes(TestDevice device)
    {
        WeightMatrix w = Quantized.PoisonedInt4(device, Rows, K, 128, WeightType.Bf16, hasZeros: false);
        device.Run(RandomFill.BindCodes(device.Loader, w, (5UL << 32) + 3));
        UInt4[] words = device.Download(w.Data);
        return new SliceResult(() => AssertWords(words, i => Philox.Block(new UInt4((uint)i, 0, 0, 0), 3, 5), Without0)).Leaving(words);

        static uint Without0(uint word)
        {
            for (int bit = 0; bit < 32; bit += 4)
                word |= (word >> bit & 15) == 0 ? 8u << bit : 0;
            return word;
        }
    }

    private static SliceResult Values(TestDevice device)
    {
        ArrayView<UInt4> view = device.Poisoned<UInt4>(Rows * K / 8);
        device.Run(RandomFill.BindBf16(device.Loader, view, 7, 0.25f, 0.5f));
        UInt4[] words = device.Download(view);
        return new SliceResult(() => AssertWords(
            words, i => Philox.Block(new UInt4((uint)i, 0, 0, 0), 7, 0), bits => Value(bits & 0xffff) | (Value(bits >> 16) << 16))).Leaving(words);

        // Powers of two times a whole number and a half: exact in float but for the sum's rounding, which is one.
        static uint Value(uint bits) => Bf16.FromFloat((float)(0.25 + (0.5 * ((bits - 32767.5) / 32768))));
    }

    private static SliceResult Copy(TestDevice device)
    {
        UInt4[] source = Source();
        ArrayView<UInt4> target = device.Poisoned<UInt4>(source.Length);
        device.Run(device.Loader.Bind(CopyWordsKernel.CopyWords, new CopyWordsKernel(device.Upload(source), target)));
        UInt4[] copied = device.Download(target);
        return new SliceResult(() => Assert.That(copied.AsSpan().SequenceEqual(source))).Leaving(copied);
    }

    private static SliceResult Read(TestDevice device)
    {
        UInt4[] source = Source();
        ArrayView<uint> sums = device.Poisoned<uint>(source.Length / ReadWordsKernel.WordsPerItem);
        device.Run(device.Loader.Bind(ReadWordsKernel.ReadWords, new ReadWordsKernel(device.Upload(source), sums)));
        uint[] actual = device.Download(sums);
        return new SliceResult(() => Assert.That(actual.Sum(s => (long)s), Is.EqualTo(source.Sum(w => (long)w.X)))).Leaving(actual);
    }

    // Words of which reading makes its first element, as the others are all ones.
    private static UInt4[] Source() =>
        [.. Enumerable.Range(0, Rows * K / 32).Select(i => new UInt4((uint)i, uint.MaxValue, uint.MaxValue, uint.MaxValue))];

    private static void AssertWords(UInt4[] words, Func<int, UInt4> drawn, Func<uint, uint> made)
    {
        ReadOnlySpan<uint> actual = MemoryMarshal.Cast<UInt4, uint>(words.AsSpan());
        for (int i = 0; i < words.Length; i++)
        {
            UInt4 bits = drawn(i);
            uint[] expected = [made(bits.X), made(bits.Y), made(bits.Z), made(bits.W)];
            if (!actual.Slice(4 * i, 4).SequenceEqual(expected))
                Assert.Fail($"word {i}");
        }
    }
}
