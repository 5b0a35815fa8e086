using System.Runtime.Intrinsics;

namespace QwenIlgpu.Kernels.Tests;

internal sealed unsafe class F16VectorsTests
{
    private static readonly int[] Offsets = [-4097, -4096, -4095, -1, 0, 1, 4095, 4096, 4097];

    [Test]
    public void LoadsEveryHalf()
    {
        var halves = new ushort[16];
        fixed (ushort* from = halves)
        {
            for (int first = 0; first < 65536; first += 16)
            {
                for (int i = 0; i < 16; i++)
                    halves[i] = (ushort)(first + i);
                Vector512<float> floats = F16Vectors.Load(from);
                for (int i = 0; i < 16; i++)
                    Assert.That(BitConverter.SingleToUInt32Bits(floats.GetElement(i)), Is.EqualTo(BitConverter.SingleToUInt32Bits(F16.ToFloat(halves[i]))));
            }
        }
    }

    // Around every half, around the middle between it and the next, and subnormals far below.
    [Test]
    public void StoresAsTheScalarCode()
    {
        for (int half = 0; half < 65536; half++)
        {
            uint bits = BitConverter.SingleToUInt32Bits(F16.ToFloat((ushort)half));
            foreach (int offset in Offsets)
                Check(BitConverter.UInt32BitsToSingle((uint)(bits + offset)));
        }

        foreach (float value in new[] { 65519.9f, 65520, 1e30f, float.PositiveInfinity, float.NaN, 1e-8f, 2.9802322e-8f, 2.9802326e-8f, 1e-40f })
        {
            Check(value);
            Check(-value);
        }
    }

    private static void Check(float value)
    {
        ushort* halves = stackalloc ushort[16];
        F16Vectors.Store(Vector512.Create(value), halves);

        ushort expected = F16.FromFloat(F16State.Saturate(value));
        if (halves[0] != expected || halves[15] != expected)
            Assert.Fail($"{value:G9} is {halves[0]:x4} and {halves[15]:x4} instead of {expected:x4}");
    }
}
