using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Which tile a prefill matmul takes: from tables, and where they have nothing by predicted time.</summary>
internal sealed class PrefillTableTests
{
    private const int Multiprocessors = 132;

    private static readonly PrefillShape Down = new(PrefillFormat.Int4, 17408, [5120], SwiGlu: false);
    private static readonly PrefillShape Unknown = new(PrefillFormat.Int4Half, 640, [5111, 13], SwiGlu: false);

    private static PrefillTable Table => new("sm_90", [Set("predicted one", isMeasured: false, (16, PrefillTile.FewTokens), (64, PrefillTile.Small), (512, PrefillTile.Wide))]);

    [TestCase(1, PrefillTile.FewTokens)]
    [TestCase(16, PrefillTile.FewTokens)]
    [TestCase(17, PrefillTile.Small)]
    [TestCase(65, PrefillTile.Wide)]
    [TestCase(9999, PrefillTile.Wide)]
    public void TakesTheNextTokensAtOrAbove(int m, PrefillTile tile) =>
        Assert.That(Table.Find(Down, m, Multiprocessors), Is.EqualTo(tile));

    // The same waves: half the multiprocessors have them with half the tokens.
    [TestCase(8, Multiprocessors / 2, PrefillTile.FewTokens)]
    [TestCase(9, Multiprocessors / 2, PrefillTile.Small)]
    [TestCase(32, 2 * Multiprocessors, PrefillTile.FewTokens)]
    public void CountsTokensByMultiprocessors(int m, int multiprocessors, PrefillTile tile) =>
        Assert.That(Table.Find(Down, m, multiprocessors), Is.EqualTo(tile));

    [Test]
    public void WhatWasMeasuredGoesFirst()
    {
        PrefillTable table = Table.With(Set("GPU", isMeasured: true, (64, PrefillTile.Wide), (128, PrefillTile.Small)));

        Assert.That(table.Find(Down, 16, Multiprocessors), Is.EqualTo(PrefillTile.Wide));
        Assert.That(table.Find(Down, 100, Multiprocessors), Is.EqualTo(PrefillTile.Small));
        Assert.That(table.Find(Down, 300, Multiprocessors), Is.EqualTo(PrefillTile.Wide), "beyond what was measured as predicted");
    }

    [Test]
    public void ASetOfTheSameDeviceIsAddedTo()
    {
        PrefillTable table = Table
            .With(Set("GPU", isMeasured: true, (64, PrefillTile.Wide), (128, PrefillTile.Small)))
            .With(Set("GPU", isMeasured: true, (64, PrefillTile.FewTokens)));

        Assert.That(table.Sets, Has.Count.EqualTo(2));
        Assert.That(table.Find(Down, 64, Multiprocessors), Is.EqualTo(PrefillTile.FewTokens));
        Assert.That(table.Find(Down, 128, Multiprocessors), Is.EqualTo(PrefillTile.Small));
    }

    [Test]
    public void AShapeThatNoTableHasIsPredicted()
    {
        var architecture = new CudaArchitecture(9, 0);

        Assert.That(Table.Find(Unknown, 64, Multiprocessors), Is.Null);
        Assert.That(
            PrefillTables.TileOf(architecture, Multiprocessors, Unknown, 64),
            Is.EqualTo(PrefillCost.BestTile(PrefillRates.Of(architecture), Multiprocessors, Unknown, 64)));
    }

    [TestCase(8, 0, "sm_80")]
    [TestCase(8, 7, "sm_86")]
    [TestCase(8, 9, "sm_89")]
    [TestCase(9, 0, "sm_90")]
    [TestCase(10, 0, "sm_90")]
    [TestCase(12, 1, "sm_90")]
    [TestCase(7, 5, "sm_80")]
    public void OtherArchitecturesGoByTheRatesOfTheLastBefore(int major, int minor, string rates) =>
        Assert.That(PrefillRates.Of(new CudaArchitecture(major, minor)).Architecture, Is.EqualTo(rates));

    [Test]
    public void CommittedTablesAreThereAndReadAsTheyAreWritten()
    {
        foreach (PrefillRates rates in PrefillRates.All)
        {
            PrefillTable? table = PrefillTables.Of(rates.Architecture);

            Assert.That(table?.Architecture, Is.EqualTo(rates.Architecture));
            Assert.That(table!.Sets.SelectMany(s => s.Tiles), Is.Not.Empty);
            Assert.That(PrefillTable.Parse(table.ToJson(), "again").ToJson(), Is.EqualTo(table.ToJson()));
        }

        Assert.That(PrefillTables.Of("sm_75"), Is.Null);
    }

    // One tile is as good as another for the sums, so splits of K are the same with each.
    [Test]
    public void SplitsAreOfRowsAndColumnsAlone(
        [Values(1, 33, 2048)] int m, [Values(PrefillTile.Wide, PrefillTile.Small, PrefillTile.FewTokens)] PrefillTile tile)
    {
        foreach ((int n, int splits) in new[] { (128, 4), (5120, 1) })
            Assert.That(PrefillPlan.Of(tile, m, Down with { Rows = [n] }).Cut.Splits, Is.EqualTo(splits));
        Assert.That(PrefillPlan.Of(tile, m, Down with { Rows = [2048] }).Tickets, Is.LessThanOrEqualTo(PrefillPlan.MaxTickets(m)));
    }

    [TestCase(16, PrefillTile.FewTokens)]
    [TestCase(2048, PrefillTile.Wide)]
    public void PredictsWideTilesWhereTheyGoRound(int m, PrefillTile tile)
    {
        foreach (PrefillRates rates in PrefillRates.All)
            Assert.That(PrefillCost.BestTile(rates, rates.Multiprocessors, Down, m), Is.EqualTo(tile), rates.Architecture);
    }

    [Test]
    public void PredictionsAreBoundByWhatTheDeviceHas(
        [Values(1, 64, 2048)] int m, [Values] PrefillFormat format, [Values(PrefillTile.Wide, PrefillTile.Small)] PrefillTile tile)
    {
        foreach (PrefillRates rates in PrefillRates.All)
        {
            PrefillPrediction prediction = PrefillCost.Predict(rates, rates.Multiprocessors, Down with { Format = format }, m, tile);

            Assert.That(prediction.Flops, Is.EqualTo(2.0 * m * 17408 * 5120));
            Assert.That(prediction.TeraflopsPerSecond * 1e12, Is.LessThan(rates.TensorShare * rates.PeakFlops));
            Assert.That(prediction.Bytes / prediction.Microseconds * 1e6, Is.LessThan(rates.MemoryBytesPerSecond));
        }
    }

    [TestCase("", "no table of tiles")]
    [TestCase("{}", "no table of tiles")]
    [TestCase("{\"architecture\": \"sm_90\", \"sets\": [{\"source\": \"guessed\"}]}", "source is 'guessed'")]
    [TestCase(Entry + "\"int3\", \"rows\": [16], \"k\": 64, \"swiglu\": false, \"tiles\": {}}]}]}", "there is no format 'int3'")]
    [TestCase(Entry + "\"int4\", \"rows\": [16], \"k\": 64, \"swiglu\": false, \"tiles\": {}}]}]}", "has no tiles")]
    [TestCase(Entry + "\"int4\", \"rows\": [16], \"k\": 64, \"swiglu\": false, \"tiles\": {\"64\": \"64x64\"}}]}]}", "there is no tile '64x64'")]
    [TestCase(Entry + "\"int4\", \"rows\": [16], \"k\": 64, \"swiglu\": false, \"tiles\": {\"few\": \"64x128\"}}]}]}", "tokens are 'few'")]
    [TestCase(Entry + "\"int8\", \"rows\": [16], \"k\": 64, \"swiglu\": false, \"tiles\": {\"16\": \"32x128\"}}]}]}", "there is no tile '32x128'")]
    public void SaysWhatIsWrongWithATable(string json, string message) => Assert.That(
        () => PrefillTable.Parse(json, "sm_90.json"), Throws.InstanceOf<InvalidDataException>().With.Message.Contains("sm_90.json").And.Message.Contains(message));

    private const string Entry = "{\"architecture\": \"sm_90\", \"sets\": [{\"device\": \"x\", \"multiprocessors\": 132, \"source\": \"measured\", \"command\": \"\", \"shapes\": [{\"format\": ";

    private static PrefillTileSet Set(string device, bool isMeasured, params (int Tokens, PrefillTile Tile)[] tiles) => new(
        device, Multiprocessors, isMeasured, "test", new Dictionary<PrefillShape, SortedList<int, PrefillTile>>
        {
            [Down] = new(tiles.ToDictionary(t => t.Tokens, t => t.Tile)),
        });
}
