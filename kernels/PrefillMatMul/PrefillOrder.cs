namespace QwenIlgpu.Kernels;

/// <summary>
/// Which tile a group of the grid's first dimension computes. Tokens go by bands of sixteen tiles, a band through all units of rows, each
/// unit through the band's tiles: groups at work at once share their weights, and a band of x stays in L2.
/// </summary>
internal readonly struct PrefillOrder(int units, int tokenTiles)
{
    private const int Band = 16;

    private readonly int units = units;
    private readonly int tokenTiles = tokenTiles;

    public int Unit(int group) => (group - BandStart(group)) / Width(group);

    public int TokenTile(int group) => (group / (units * Band) * Band) + ((group - BandStart(group)) % Width(group));

    private int BandStart(int group) => group / (units * Band) * (units * Band);

    private int Width(int group)
    {
        int left = tokenTiles - (group / (units * Band) * Band);
        return left < Band ? left : Band;
    }
}
