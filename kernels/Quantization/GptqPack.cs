namespace QwenIlgpu.Kernels;

/// <summary>GPTQ's symmetric 4-bit codes and scales to the INT4 layout, block by block.</summary>
internal static class GptqPack
{
    private const int TileWords = Int4Layout.TileColumns / 8;

    /// <summary>
    /// Packs rows [firstWord, firstWord + block rows) of qweight [K/8, N] (word (r, o): bits 4j… are the code of input 8r + j).
    /// firstWord is a multiple of 8 (whole tiles); so is the block's height, unless the block is the source's last, which also writes
    /// the padding k. Padding rows and k get code 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, Matrix<int> qweightBlock, int firstWord, Int4Matrix destination)
    {
        const string Op = "gptq_pack";
        destination.Check(Op, "destination");
        int sourceWords = destination.Columns / 8;
        int end = firstWord + qweightBlock.Rows;
        Require.That(Op, destination.Columns % 8 == 0, $"columns of destination are {destination.Columns}, not a multiple of 8");
        Require.Equal(Op, "columns of qweight", qweightBlock.Columns, "rows of destination", destination.Rows);
        Require.That(Op, firstWord >= 0 && firstWord % TileWords == 0, $"first word is {firstWord}, not a multiple of {TileWords}");
        Require.That(
            Op,
            qweightBlock.Rows > 0 && (end == sourceWords || (end < sourceWords && end % TileWords == 0)),
            $"block ends at word {end}, neither a multiple of {TileWords} nor the last, {sourceWords}");
        int firstTile = firstWord / TileWords;
        int endTile = end == sourceWords ? destination.ColumnTiles : end / TileWords;
        return loader.Bind(
            GptqPackKernel.GptqPack,
            new GptqPackKernel(qweightBlock, firstTile, endTile - firstTile, destination.Codes, destination.ColumnTiles));
    }

    /// <summary>Reorders scales [G, N] of the destination's 16-bit type. Padding rows get 0.</summary>
    public static Launch BindScales(KernelLoader loader, Matrix<ushort> scales, Int4Matrix destination)
    {
        const string Op = "gptq_pack_scales";
        destination.Check(Op, "destination");
        Require.Equal(Op, "rows of scales", scales.Rows, "groups of destination", destination.Groups);
        Require.Equal(Op, "columns of scales", scales.Columns, "rows of destination", destination.Rows);
        return loader.Bind(GptqPackScalesKernel.GptqPackScales, new GptqPackScalesKernel(scales, destination.Scales));
    }
}
