using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Times the matmuls of prefill steps with each tile in turn, or predicts them, and makes sets of tiles of what was fastest.</summary>
internal static class PrefillTuner
{
    private const int Slot = 1;
    private const int CutLayers = 4;

    /// <summary>Tokens that a table has tiles for.</summary>
    public static IReadOnlyList<int> TableTokens { get; } = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096];

    /// <summary>What prefill matmuls of all synthetic shapes take part in: layers repeat after four.</summary>
    public static async Task<IReadOnlyList<PrefillShape>> SyntheticShapesAsync()
    {
        var shapes = new List<PrefillShape>();
        foreach (string name in SyntheticShape.Names)
        {
            foreach (HeadQuantization head in (HeadQuantization[])[HeadQuantization.None, HeadQuantization.Int8])
            {
                QwenConfig config = SyntheticShape.Of(name);
                await using QwenModel model = SyntheticModel.CreateUnfilled(
                    name, SyntheticShape.Cut(config, CutLayers, config.VocabSize), ComputeDevice.OpenCpu(recordsWarpKernels: true), head);
                shapes.AddRange(StepPlan.RecordPrefill(model, KvType.Bf16, TableTokens[0]).Nodes.Select(n => n.MatMul).OfType<PrefillShape>());
            }
        }

        return [.. shapes.Distinct()];
    }

    /// <summary>Tiles of shapes for the device whose rates an architecture is known by.</summary>
    public static PrefillTileSet Predict(PrefillRates rates, IReadOnlyList<PrefillShape> shapes, string command) => new(
        rates.Device, rates.Multiprocessors, IsMeasured: false, command, shapes.ToDictionary(
            s => s,
            s => new SortedList<int, PrefillTile>(
                TableTokens.ToDictionary(m => m, m => PrefillCost.BestTile(rates, rates.Multiprocessors, s, m)))));

    /// <summary>Medians of so many runs of prefill steps of these numbers of tokens, with each tile.</summary>
    public static IReadOnlyList<TileTime> Measure(
        QwenModel model, KvType kvType, IReadOnlyList<int> tokens, int runs, CancellationToken cancellation,
        Action<string>? progress = null)
    {
        int most = EngineCapacity.WholePages(tokens.Max());
        EngineCapacity capacity = new EngineOptions
        {
            MaxSequences = 1, ContextTokens = most, PrefillChunkTokens = most, KvType = kvType, PrefixCache = PrefixCacheMode.Off,
        }.Resolve(model.Config);
        int[] ids = [.. Enumerable.Range(0, most).Select(i => (int)(i * 7919L % model.VocabularySize))];
        var times = new List<(PrefillShape Shape, int Tokens, PrefillTile Tile, double Microseconds)>();
        foreach (PrefillTile tile in PrefillTiles.All)
        {
            using var runner = new StepRunner(model, capacity, new StepRunnerOptions(Tile: tile));
            runner.State.SetPages(Slot, [.. Enumerable.Range(1, capacity.PagesPerSequence)]);
            foreach (int m in tokens.Distinct())
            {
                cancellation.ThrowIfCancellationRequested();
                progress?.Invoke($"tile {PrefillTiles.NameOf(tile)}: {m} tokens");
                BoundStep step = runner.Run(
                    StepKind.Prefill, [new StepSequence(Slot, 0, ids.AsMemory(0, m), LogitsWanted.Last)], samples: false);
                foreach (NodeTime time in TimedRunner.Run(step.Graph, model.Device, runs))
                {
                    if (time.Node.MatMul is { } shape && PrefillTiles.Of(shape.Format).Contains(tile))
                        times.Add((shape, time.Node.Reads[0].Rows, tile, time.Microseconds));
                }
            }
        }

        return
        [
            .. times.GroupBy(t => (t.Shape, t.Tokens, t.Tile)).Select(g => new TileTime(
                g.Key.Shape, g.Key.Tokens, g.Key.Tile, Median.Of(g.Select(t => t.Microseconds)))),
        ];
    }

    /// <summary>Of each shape and number of tokens the fastest tile.</summary>
    public static PrefillTileSet Fastest(IReadOnlyList<TileTime> times, string device, int multiprocessors, string command) => new(
        device, multiprocessors, IsMeasured: true, command, times.GroupBy(t => t.Shape).ToDictionary(
            g => g.Key,
            g => new SortedList<int, PrefillTile>(
                g.GroupBy(t => t.Tokens).ToDictionary(t => t.Key, t => t.MinBy(x => x.Microseconds)!.Tile))));
}

/// <summary>Median time of a matmul of so many tokens with a tile.</summary>
internal sealed record TileTime(PrefillShape Shape, int Tokens, PrefillTile Tile, double Microseconds);
