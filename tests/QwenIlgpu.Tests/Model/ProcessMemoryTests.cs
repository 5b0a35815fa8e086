namespace QwenIlgpu.Tests;

[NonParallelizable]
internal sealed class ProcessMemoryTests
{
    private const int Cycles = 20;
    private const int WarmCycles = 10;
    private const double MostGrowthBytes = 0.5e6;

    /// <summary>What a model and its engine take of the process, the process has back when they are disposed.</summary>
    [Test]
    public async Task LoadingAndDisposingKeepsNothing()
    {
        if (!OperatingSystem.IsLinux() || TestModels.Device != DeviceSelection.Cpu)
            Assert.Ignore("reads /proc, and means memory of the CPU");
        long warm = 0;
        for (int cycle = 1; cycle <= Cycles; cycle++)
        {
            await Cycle();
            if (cycle == WarmCycles)
                warm = PrivateBytes();
        }

        double growth = (PrivateBytes() - warm) / (double)(Cycles - WarmCycles);
        TestContext.Out.WriteLine($"{growth:F0} bytes a cycle");
        Assert.That(growth, Is.LessThanOrEqualTo(MostGrowthBytes));
    }

    private static async Task Cycle()
    {
        await using QwenModel model = await QwenModel.LoadAsync(TestData.TinyGptqModel, new ModelOptions { Device = DeviceSelection.Cpu });
        await using var engine = new Engine(model, new EngineOptions { MaxSequences = 2 });
        await foreach (GenerationUpdate update in engine.GenerateAsync(new int[] { 5, 6, 7 }, new GenerationOptions { MaxTokens = 2 }))
            Assert.That(update, Is.Not.Null);
    }

    private static long PrivateBytes()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        string line = File.ReadLines("/proc/self/status").Single(l => l.StartsWith("RssAnon:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) * 1024;
    }
}
