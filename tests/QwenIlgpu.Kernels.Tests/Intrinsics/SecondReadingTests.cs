using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Two readings of each instruction that know nothing of one another, its C# body and what the PTX machine makes of its text, give the
/// same bits for 10,000 random words and more.
/// </summary>
[NonParallelizable]
internal sealed class SecondReadingTests
{
    private const int Words = 10_240;

    // A device gives what its kernel of this name in InstructionPtxTests leaves.
    private static readonly Dictionary<string, Func<TestDevice, uint[]>> Readings = new()
    {
        ["Words"] = OfWords,
        ["Warps"] = OfWarps,
        ["Matrices"] = OfMatrices,
        ["Products"] = OfProducts,
        ["Copies"] = OfCopies,
        ["Loads"] = OfLoads,
        ["Scopes"] = OfScopes,
        ["Dependencies"] = OfDependencies,
    };

    private static IEnumerable<string> Names => Readings.Keys;

    private static IEnumerable<TestCaseData> Instructions() =>
        Kernels.Intrinsics.Instructions.Select(m => new TestCaseData(m).SetArgDisplayNames($"{m.DeclaringType!.Name}.{m.Name}"));

    [TearDown]
    public void ReleaseBuffers() => WarpDevice.ReleaseBuffers();

    [TestCaseSource(nameof(Names))]
    public void TheMachineAgreesWithTheBodies(string kernel)
    {
        Assume.That(TestDevice.Kind, Is.Not.EqualTo("cuda"), "a GPU is asked for");
        uint[] expected = Readings[kernel](WarpDevice.Named("cpu"));

        uint[] actual = Readings[kernel](WarpDevice.Named("machine"));

        Assert.That(actual, Has.Length.EqualTo(expected.Length));
        for (int i = 0; i < actual.Length; i++)
        {
            if (actual[i] != expected[i])
                Assert.Fail($"word {i} of {actual.Length}: {actual[i]:x8} of the machine, {expected[i]:x8} of the body");
        }
    }

    [TestCaseSource(nameof(Instructions))]
    public void EveryInstructionIsReadTwice(MethodInfo instruction)
    {
        string pattern = InstructionPtxTests.Pattern(instruction);

        Assert.That(Readings.Keys.Where(k => Regex.IsMatch(InstructionPtxTests.Texts[k], pattern)), Is.Not.Empty);
    }

    private static uint[] OfWords(TestDevice device)
    {
        var kernel = new WordKernel(
            device.Upload(RandomWords.Of(1, Words)), device.Upload(RandomWords.Of(2, Words)), device.Upload(RandomWords.Of(3, Words)),
            device.Poisoned<uint>(WordKernel.Ops * Words));
        device.Run(WordKernel.Words, new KernelConfig(1, 32), kernel);
        uint[] results = device.Download(kernel.Results);
        AsOneNaN(results.AsSpan(WordKernel.Fma * Words));
        AsOneNaN(results.AsSpan(WordKernel.F16Low * Words, 2 * Words));
        return results;
    }

    // A shuffle looks at no bit of what it moves, and a group's turn costs the CPU accelerator tens of milliseconds: fewer words.
    private static uint[] OfWarps(TestDevice device)
    {
        const int Groups = 8;
        const int Threads = 128;
        var kernel = new WarpKernel(
            device.Upload(RandomWords.Of(4, Groups * Threads)), device.Poisoned<uint>(WarpKernel.Ops * Groups * Threads));
        device.Run(WarpKernel.Warps, new KernelConfig(Groups, Threads), kernel);
        return device.Download(kernel.Results)[..(WarpKernel.FirstReduction * Groups * Threads)];
    }

    private static uint[] OfMatrices(TestDevice device)
    {
        const int Groups = Words / 128;
        int[] order = [.. Enumerable.Range(0, 32).Select(l => (11 * l + 3) % 32)];
        var kernel = new LoadMatrixKernel(
            device.Upload(From<UInt4>(RandomWords.Of(5, Words))), device.Upload(order),
            device.Poisoned<uint>(Groups * 32 * LoadMatrixKernel.Words));
        device.Run(LoadMatrixKernel.Matrices, new KernelConfig(Groups, 32), kernel);
        return device.Download(kernel.Results);
    }

    private static uint[] OfProducts(TestDevice device)
    {
        const int Lanes = Words / 4;
        var kernel = new MmaKernel(
            device.Upload(From<UInt4>(WildTiles(6, 4 * Lanes))), device.Upload(From<UInt2>(WildTiles(7, 2 * Lanes))),
            device.Upload(From<Float4>(WildTiles(8, 4 * Lanes))), device.Poisoned<Float4>(Lanes),
            device.Poisoned<Float4>(Lanes));
        device.Run(MmaKernel.Products, new KernelConfig(1, 32), kernel);
        Float4[] sums = [.. device.Download(kernel.F16Results), .. device.Download(kernel.Bf16Results)];
        uint[] bits = Bits(sums);
        AsOneNaN(bits);
        return bits;
    }

    // Of 32 lanes by turns: any finite exponents; those of usual size; any bits, so that NaN and infinities swallow most sums.
    private static uint[] WildTiles(int seed, int count)
    {
        var random = new Random(seed);
        uint[] any = RandomWords.Of(seed, count);
        int perTile = count / (Words / 128);
        return [.. any.Select((word, i) => (i / perTile % 4) switch
        {
            0 or 1 => (uint)random.NextInt64(1L << 32) & 0xbfffbfffu,
            2 => ((uint)random.NextInt64(1L << 32) & 0x83ff83ffu) | 0x3c003c00u,
            _ => word,
        })];
    }

    private static uint[] OfCopies(TestDevice device)
    {
        const int Groups = Words / (AsyncCopyKernel.Results * 128);
        ArrayView<UInt4> y = device.Poisoned<UInt4>(Words / 4);
        device.Run(
            AsyncCopyKernel.Copies, new KernelConfig(Groups, 32), new AsyncCopyKernel(device.Upload(From<UInt4>(RandomWords.Of(9, Words))), y));
        return Bits(device.Download(y));
    }

    private static uint[] OfLoads(TestDevice device)
    {
        const int Threads = Words / 4;
        ArrayView<UInt4> y = device.Upload(new UInt4[4 * Threads]);
        device.Run(
            GlobalLoadKernel.Loads, new KernelConfig(Threads / 128, 128),
            new GlobalLoadKernel(device.Upload(From<UInt4>(RandomWords.Of(10, Words))), y));
        return Bits(device.Download(y));
    }

    private static uint[] OfScopes(TestDevice device)
    {
        ArrayView<int> places = device.Upload(From<int>(RandomWords.Of(11, 4 * Words)));
        ArrayView<long> sums = device.Upload(From<long>(RandomWords.Of(12, 2 * Words)));
        ArrayView<int> y = device.Poisoned<int>(3 * Words);
        device.Run(
            ScopeKernel.Scopes, new KernelConfig(1, 32),
            new ScopeKernel(device.Upload(From<int>(RandomWords.Of(13, Words))), places, sums, y));
        return [.. Bits(device.Download(places)), .. Bits(device.Download(sums)), .. Bits(device.Download(y))];
    }

    // They have no result: that the store between them is done is all there is to see.
    private static uint[] OfDependencies(TestDevice device)
    {
        ArrayView<int> y = device.Poisoned<int>(32);
        device.Run(GridDependencyKernel.Dependencies, new KernelConfig(1, 32), new GridDependencyKernel(y));
        return Bits(device.Download(y));
    }

    // Instructions with an f32 result have one NaN; .NET gives that of an operand or of the processor, and promises no bits.
    private static void AsOneNaN(Span<uint> bits)
    {
        foreach (ref uint word in bits)
        {
            if ((word & 0x7fffffff) > 0x7f800000)
                word = 0x7fffffff;
        }
    }

    private static T[] From<T>(uint[] words)
        where T : unmanaged => MemoryMarshal.Cast<uint, T>(words).ToArray();

    private static uint[] Bits<T>(T[] values)
        where T : unmanaged => MemoryMarshal.Cast<T, uint>(values.AsSpan()).ToArray();
}
