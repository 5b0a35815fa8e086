using ILGPU.Runtime.Cuda;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>Tiles of prefill matmuls: what a step takes, and how they are measured.</summary>
[NonParallelizable]
internal sealed class TuneTests
{
    /// <summary>The stand-in's clock puts a millisecond between any two events, so the first tile wins.</summary>
    [Test]
    public async Task EveryMatMulIsTimedWithEveryTile()
    {
        await using QwenModel model = await TinyModel.LoadAsync(TinyModel.GptqFolder);
        int[] tokens = [64, 17];

        IReadOnlyList<TileTime> times = PrefillTuner.Measure(model, KvType.Bf16, tokens, runs: 3, CancellationToken.None);

        PrefillShape[] shapes = [.. times.Select(t => t.Shape).Distinct()];
        Assert.That(shapes.Select(s => s.Format).Distinct(), Is.EquivalentTo(new[] { PrefillFormat.Int4, PrefillFormat.Dense }));
        Assert.That(times, Has.All.Matches<TileTime>(t => t!.Microseconds == 1000));
        Assert.That(times.Select(t => t.Tokens).Distinct(), Is.EquivalentTo(new[] { 64, 17, 1 }), "the head has the last row alone");
        foreach (IGrouping<(PrefillShape, int), TileTime> matMul in times.GroupBy(t => (t.Shape, t.Tokens)))
            Assert.That(matMul.Select(t => t.Tile), Is.EqualTo(PrefillTiles.All));

        PrefillTileSet set = PrefillTuner.Fastest(times, "stand-in", 10, "test");

        Assert.That(set.Tiles.Keys, Is.EquivalentTo(shapes));
        Assert.That(set.Tiles.Values.SelectMany(t => t.Values), Is.All.EqualTo(PrefillTile.Wide));
    }

    [TestCase(null)]
    [TestCase(PrefillTile.Wide)]
    [TestCase(PrefillTile.FewTokens)]
    public async Task StepsTakeTheTilesOfTheTableUnlessOneIsForced(object? forced)
    {
        await using QwenModel model = await TinyModel.LoadAsync();
        EngineCapacity capacity = new EngineOptions { MaxSequences = 1, ContextTokens = 512, KvType = KvType.Bf16 }.Resolve(model.Config);
        using var runner = new StepRunner(model, capacity, new StepRunnerOptions(Tile: (PrefillTile?)forced));
        var device = (CudaAccelerator)model.Device.Accelerator;
        OpGraph graph = runner.GraphOf(new StepShape(StepKind.Prefill, 100, 1, 1, 2, false)).Graph;
        StandIn.Clear();

        StreamRunner.Run(graph, model.Device.Stream);

        DriverCall[] launched = [.. StandIn.Calls.Where(c => c.IsLaunch && c.Name.Contains("PrefillMatMul", StringComparison.Ordinal))];
        Node[] matMuls = [.. graph.Nodes.Where(n => n.MatMul is not null)];
        PrefillTile[] tiles =
        [
            .. matMuls.Select(n => (PrefillTile?)forced
                ?? PrefillTables.TileOf(device.Architecture, device.NumMultiprocessors, n.MatMul!, n.Reads[0].Rows)),
        ];
        Assert.That(matMuls, Is.Not.Empty);
        Assert.That(launched, Has.Length.EqualTo(matMuls.Length));
        for (int i = 0; i < tiles.Length; i++)
        {
            var plan = PrefillPlan.Of(tiles[i], matMuls[i].Reads[0].Rows, matMuls[i].MatMul!);
            Assert.That(launched[i].Grid, Is.EqualTo(((uint)plan.Groups, (uint)plan.Cut.Splits, 1u)), $"{matMuls[i]}");
            Assert.That(launched[i].Block, Is.EqualTo((32u * (uint)PrefillTiles.WarpsOf(tiles[i]), 1u, 1u)), $"{matMuls[i]}");
        }
    }
}
