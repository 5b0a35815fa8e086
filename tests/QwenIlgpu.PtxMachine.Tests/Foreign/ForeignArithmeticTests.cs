using System.Numerics;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>Kernels in CUDA, compiled by clang, against C#: what each thread computes for itself, and where it branches.</summary>
[TestFixture(0)]
[TestFixture(1)]
[TestFixture(2)]
internal sealed class ForeignArithmeticTests(int seed)
{
    [TestCase(1000)]
    [TestCase(100)]
    public void LanesLoopAsLongAsTheyNeed(int limit)
    {
        const int Count = 200;
        using var kernels = new ForeignKernels("loops.ptx", seed);
        var random = new Random(seed);
        int[] starts = [.. Enumerable.Range(0, Count).Select(_ => random.Next(1, 10000))];
        int[] counts = [.. Enumerable.Range(0, Count).Select(_ => random.Next(6))];
        nint steps = kernels.Allocate<int>(Count);

        kernels.Launch(
            "collatz", ForeignKernels.Line(4, 64), steps, kernels.Upload(starts), kernels.Upload(counts), Count, limit);

        Assert.That(kernels.Download<int>(steps, Count), Is.EqualTo(starts.Zip(counts, (start, count) => Collatz(start, count, limit))));
    }

    [Test]
    public void LanesLeaveALoopAndMeetAgain()
    {
        const int Lines = 128;
        const int Columns = 30;
        using var kernels = new ForeignKernels("loops.ptx", seed);
        var random = new Random(seed);
        int[] lines = [.. Enumerable.Range(0, Lines * Columns).Select(_ => random.Next(25))];
        int[] sought = [.. Enumerable.Range(0, Lines).Select(_ => random.Next(25))];
        int[] expected = [.. Enumerable.Range(0, Lines).Select(i => Array.IndexOf(lines[(i * Columns)..((i + 1) * Columns)], sought[i]))];
        nint places = kernels.Allocate<int>(Lines);
        nint found = kernels.Allocate<int>(Lines / 32);

        kernels.Launch("find", ForeignKernels.Line(2, 64), places, found, kernels.Upload(lines), Columns, kernels.Upload(sought));

        Assert.Multiple(() =>
        {
            Assert.That(expected, Has.Some.EqualTo(-1).And.Some.GreaterThan(4));
            Assert.That(kernels.Download<int>(places, Lines), Is.EqualTo(expected));
            Assert.That(kernels.Download<int>(found, Lines / 32), Is.EqualTo(expected.Chunk(32).Select(warp => warp.Count(p => p >= 0))));
        });
    }

    [Test]
    public void LanesRunProgramsOfTheirOwn()
    {
        const int Lanes = 256;
        const int Length = 20;
        using var kernels = new ForeignKernels("switches.ptx", seed);
        var random = new Random(seed);
        byte[] programs = [.. Enumerable.Range(0, Lanes * Length).Select(_ => (byte)random.Next(14))];
        int[] arguments = [.. Enumerable.Range(0, Lanes).Select(_ => random.Next(-5000, 5000))];
        nint results = kernels.Allocate<int>(Lanes);

        kernels.Launch(
            "interpret", ForeignKernels.Line(4, 64), results, kernels.Upload<byte>(programs), kernels.Upload(arguments), Length);

        Assert.That(
            kernels.Download<int>(results, Lanes),
            Is.EqualTo(arguments.Select((argument, i) => Interpret(programs.AsSpan(i * Length, Length), argument, i))));
    }

    [Test]
    public void ComputesInSixtyFourBits()
    {
        const int Count = 64;
        const int Results = 11;
        using var kernels = new ForeignKernels("wide.ptx", seed);
        var random = new Random(seed);
        ulong[] a = [.. Enumerable.Range(0, Count).Select(i => (ulong)random.NextInt64() << (i % 3) >> (i % 50))];
        ulong[] b = [.. Enumerable.Range(0, Count).Select(i => (ulong)random.NextInt64() << (i % 5) >> (i % 37))];
        (a[0], b[0]) = (0, 0);
        (a[1], b[1]) = (ulong.MaxValue, 3);
        (a[2], b[2]) = (1UL << 63, 1UL << 32);
        nint d = kernels.Allocate<ulong>(Count * Results);

        kernels.Launch("integers", ForeignKernels.Line(2, 32), d, kernels.Upload(a), kernels.Upload(b));

        Check(kernels.Download<ulong>(d, Count * Results).Chunk(Results), a.Zip(b, Integers));
    }

    [Test]
    public void ComputesInDoubles()
    {
        const int Count = 64;
        const int Results = 10;
        using var kernels = new ForeignKernels("wide.ptx", seed);
        var random = new Random(seed);
        double[] a = [.. Enumerable.Range(0, Count).Select(_ => (random.NextDouble() - 0.5) * 1e6)];
        double[] b = [.. Enumerable.Range(0, Count).Select(_ => (random.NextDouble() - 0.5) * Math.ScaleB(1, random.Next(60)))];
        (a[0], b[0]) = (0.1, 0.1);
        (a[1], b[1]) = (-2.5, -0.5);
        (a[2], b[2]) = (7, double.Epsilon);
        nint d = kernels.Allocate<double>(Count * Results);

        kernels.Launch("doubles", ForeignKernels.Line(2, 32), d, kernels.Upload(a), kernels.Upload(b));

        Check(kernels.Download<double>(d, Count * Results).Chunk(Results), a.Zip(b, Doubles));
    }

    [Test]
    public void JoinsAndNegatesConditions()
    {
        float[] numbers = [0, -0f, 1, -1, 2.5f, -7.75f, 3e9f, -3e9f, float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e-40f];
        int[] integers = [0, 1, 2, 8, 9, 10, -1, -5, -6, -9, -10, 100, 149, 150, int.MinValue, int.MaxValue];
        (float X, float Y, int N)[] cases = [.. from x in numbers from y in numbers from n in integers select (x, y, n)];
        using var kernels = new ForeignKernels("predicates.ptx", seed);
        nint d = kernels.Allocate<int>(2 * cases.Length);

        kernels.Launch(
            "classify", ForeignKernels.Line((cases.Length + 127) / 128, 128), d, kernels.Upload<float>([.. cases.Select(c => c.X)]),
            kernels.Upload<float>([.. cases.Select(c => c.Y)]), kernels.Upload<int>([.. cases.Select(c => c.N)]), cases.Length);

        int[] actual = kernels.Download<int>(d, 2 * cases.Length);
        Check(actual[..cases.Length].Zip(actual[cases.Length..], (f, g) => new[] { f, g }), cases.Select(c => Classify(c.X, c.Y, c.N)));
    }

    private static void Check<T>(IEnumerable<T[]> actual, IEnumerable<T[]> expected)
    {
        int i = 0;
        foreach ((T[] found, T[] wanted) in actual.Zip(expected))
            Assert.That(found, Is.EqualTo(wanted), $"thread {i++}");
        Assert.That(i, Is.GreaterThanOrEqualTo(64), "threads compared");
    }

    private static int Collatz(int start, int count, int limit)
    {
        int total = 0;
        for (uint n = (uint)start; n < start + count && total < limit; n++)
        {
            for (uint m = n; n % 3 != 0 && m != 1 && total < limit; total++)
                m = m % 2 == 0 ? m / 2 : (3 * m) + 1;
        }

        return total;
    }

    private static int Interpret(ReadOnlySpan<byte> program, int value, int other)
    {
        for (int at = 0; at < program.Length; at++)
        {
            switch (program[at])
            {
                case 0:
                    return value;
                case 1:
                    value += other;
                    break;
                case 2:
                    value -= 3 * other;
                    break;
                case 3:
                    other = value ^ (other << 3);
                    break;
                case 4:
                    value *= 7;
                    break;
                case 5:
                    value = value < 0 ? -value : value;
                    break;
                case 6:
                    (value, other) = (other, value);
                    break;
                case 7:
                    at += 2;
                    break;
                case 8:
                    value = (int)BitOperations.RotateRight((uint)value, 5);
                    break;
                case 9:
                    value = (value / 3) + (value % 5);
                    break;
                case 10:
                    while (value > 1000)
                        value /= 2;
                    other++;
                    break;
                case 11:
                    other++;
                    break;
                default:
                    value = ~value;
                    break;
            }
        }

        return value - other;
    }

    private static ulong[] Integers(ulong x, ulong y)
    {
        long s = (long)x;
        long t = (long)y;
        ulong high = Math.BigMul(x, y, out ulong low);
        return
        [
            low + 12345678901234,
            high,
            x / (y | 1),
            (ulong)(s % (t | 1)),
            (ulong)(s >> (int)(y & 63)) ^ (x << (int)(y & 31)),
            ((ulong)BitOperations.PopCount(x) * 1000) + (ulong)BitOperations.LeadingZeroCount(y | 1),
            s < t ? x : y,
            Convert.ToUInt64(new string([.. Convert.ToString(s, 2).PadLeft(64, '0').Reverse()]), 2) & ~y,
            ((ulong)((uint)x / ((uint)y | 1)) << 32) | (uint)((int)x % ((int)y | 1)),
            (ulong)((long)(int)x * (int)y) - ((x >> 32) * (y & 0xffffffff)),
            (ulong)(short)x + (ulong)(sbyte)y + (s > t ? 1UL : 0) + ((uint)(x >> 13) & 0x7ff),
        ];
    }

    private static double[] Doubles(double x, double y) =>
    [
        Math.FusedMultiplyAdd(y, 3, x),
        Math.FusedMultiplyAdd(x, y, -x),
        x / y,
        Math.Sqrt(Math.Abs(x)),
        x < y ? -x : Math.Floor(y),
        (double)(float)x - (long)y,
        (uint)(int)x,
        Math.Min(x, y) * Math.Max(x, 0.1),
        Math.Truncate(x) + Math.Ceiling(y),
        x == y ? 1 : (ulong)Math.Abs(y) >> 1,
    ];

    private static int[] Classify(float x, float y, int k)
    {
        bool isEither = (x < y && k > 0) || (!(x <= y) && k < -5);
        bool isNaN = float.IsNaN(x) || float.IsNaN(y);
        int flags = isEither ? 1 : 0;
        flags |= (x == y ? 1 : 0) != (k & 1) ? 2 : 0;
        flags |= isNaN ? 4 : x > 2 * y ? 8 : 0;
        flags |= !(x >= 0) != !(y >= 0) ? 16 : 0;
        flags |= k is >= 100 and < 150 ? 32 : 0;
        flags |= Math.Clamp(k, -9, 9) << 8;
        return [flags, isEither ? k : isNaN ? -k : Math.Abs(x) < 1e9f ? (int)x : 77];
    }
}
