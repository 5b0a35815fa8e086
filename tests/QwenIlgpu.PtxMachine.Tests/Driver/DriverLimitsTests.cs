namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>What a device of an architecture has, and so what it refuses.</summary>
[NonParallelizable]
internal sealed class DriverLimitsTests
{
    private nint context;

    [TearDown]
    public void Close() => Driver.Check(Driver.cuCtxDestroy(context));

    [TestCase("sm_80", 2048, 164, 163, 40)]
    [TestCase("sm_86", 1536, 100, 99, 6)]
    [TestCase("sm_89", 1536, 100, 99, 72)]
    [TestCase("sm_90", 2048, 228, 227, 50)]
    public void TellsWhatTheArchitectureHas(string name, int threads, int sharedKib, int groupKib, int l2Mib)
    {
        Open(name);

        Assert.That($"sm_{Attribute(75)}{Attribute(76)}", Is.EqualTo(name));
        Assert.That((Attribute(39), Attribute(81), Attribute(97)), Is.EqualTo((threads, sharedKib << 10, groupKib << 10)));
        Assert.That((Attribute(38), Attribute(8), Attribute(82)), Is.EqualTo((l2Mib << 20, 48 << 10, 65536)));
    }

    [TestCase("sm_80", 163)]
    [TestCase("sm_86", 99)]
    [TestCase("sm_89", 99)]
    [TestCase("sm_90", 227)]
    public void AGroupGetsNoMoreSharedMemoryThanThat(string name, int groupKib)
    {
        Open(name);
        nint function = Driver.Function(Driver.Adder, "Add");
        nint target = Driver.Upload(0);

        Assert.That(Driver.cuFuncSetAttribute(function, 8, (groupKib << 10) + 1), Is.EqualTo(1));
        Assert.That(MachineDriver.LastFailure!.Message, Does.Contain($"on {name} a group of it can have {groupKib << 10}"));
        Assert.That(Driver.LaunchAdder(function, target, 1, 0, sharedBytes: (48 << 10) + 1), Is.EqualTo(1), "not asked for");
        Driver.Check(Driver.cuFuncSetAttribute(function, 8, groupKib << 10));
        Driver.Check(Driver.LaunchAdder(function, target, 1, 0, sharedBytes: (uint)groupKib << 10));
        Assert.That(Driver.Download(target, 1), Is.EqualTo(new[] { 1 }));
    }

    [TestCase(64, 1024u, 0)]
    [TestCase(65, 1024u, 701)]
    [TestCase(65, 896u, 0)]
    [TestCase(255, 256u, 0)]
    [TestCase(255, 257u, 701)]
    [TestCase(256, 32u, 701)]
    [TestCase(0, 1024u, 0)]
    public void AGroupGetsNoMoreRegistersThanThereAre(int registers, uint threads, int result)
    {
        Open("sm_90", registers);
        nint function = Driver.Function(Harmless, "Add");

        Assert.That(Driver.LaunchAdder(function, Driver.Upload(0), 0, 0, groupThreads: threads), Is.EqualTo(result));
        if (result != 0)
            Assert.That(MachineDriver.LastFailure!.Message, Does.Contain($"{threads} threads of {registers} registers"));
    }

    /// <summary>Groups that a multiprocessor holds, by each of its limits.</summary>
    [TestCase("sm_90", 32, 128, 0, 16)]
    [TestCase("sm_86", 32, 128, 0, 12)]
    [TestCase("sm_90", 128, 128, 0, 4)]
    [TestCase("sm_90", 8, 32, 0, 32)]
    [TestCase("sm_86", 8, 32, 0, 16)]
    [TestCase("sm_90", 8, 32, 48 << 10, 4)]
    [TestCase("sm_86", 8, 32, 48 << 10, 2)]
    public void CountsTheGroupsOfAMultiprocessor(string name, int registers, int threads, int sharedBytes, int expected)
    {
        Open(name, registers);

        nint function = Driver.Function(Driver.Adder, "Add");
        Driver.Check(Driver.cuOccupancyMaxActiveBlocksPerMultiprocessor(out int groups, function, threads, sharedBytes));

        Assert.That(groups, Is.EqualTo(expected));
    }

    [TestCase("", 64)]
    [TestCase(".maxntid 256, 1, 1", 128)]
    [TestCase(".maxntid 256, 1, 1 .minnctapersm 4", 64)]
    public void UnknownRegistersKeepTheBoundsOfTheKernel(string bounds, int expected)
    {
        Open("sm_90");
        nint function = Driver.Function(Driver.Adder.Replace(")\n{", $")\n{bounds}\n{{", StringComparison.Ordinal), "Add");

        Driver.Check(Driver.cuFuncGetAttribute(out int registers, 4, function));

        Assert.That(registers, Is.EqualTo(expected));
    }

    [Test]
    public void ReadsRegistersOutOfATable()
    {
        Open("sm_86");
        const string Table = "text\n| kernel | threads | sm_86 | sm_90 | sectors |\n|---|--:|---|---|--:|\n" +
            "| `TableKernel<A, B>` | 128 | 40 · 0 · 0 · 75 % | 48 · 0 · 0 · 75 % | 1.00 |\n" +
            "| `TableKernel<C>` | 128 | 36 · 0 · 0 · 75 % | — | — |\n";

        Func<string, int> ofSm86 = RegisterTable.Read(Table, GpuArchitecture.Sm86);
        Func<string, int> ofSm90 = RegisterTable.Read(Table, GpuArchitecture.Sm90);

        Assert.That((ofSm86("Kernel_Rows"), ofSm90("Kernel_Rows"), ofSm90("Kernel_Other")), Is.EqualTo((40, 48, 0)));
        Assert.That(() => RegisterTable.Read(Table, GpuArchitecture.Sm80), Throws.ArgumentException.With.Message.Contains("no column sm_80"));
    }

    // The adder without its store, for any number of threads.
    private static string Harmless => Driver.Adder.Replace("st.global.b32", "// st.global.b32", StringComparison.Ordinal);

    private static int Attribute(int number)
    {
        Driver.Check(Driver.cuDeviceGetAttribute(out int value, number, 0));
        return value;
    }

    private void Open(string name, int registers = 0) => context = Driver.Open(
        Driver.Usual with { Architecture = GpuArchitecture.All.Single(a => a.Name == name), RegistersOf = _ => registers });

    private readonly struct TableKernel
    {
        public static void Rows(TableKernel kernel) => _ = kernel;
    }
}
