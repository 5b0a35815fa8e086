namespace QwenIlgpu.Kernels;

/// <summary>Sixteen neighbours of a row of scales at once; a thread takes whole row tiles.</summary>
internal readonly unsafe partial struct PackScalesKernel<TSource> : ICpuShare
{
    public bool TakesShape => typeof(TSource) == typeof(GptqWords);

    public void Share(int thread, int threads)
    {
        ushort* to = CpuVectors.Pointer(scales);
        CpuPart part = CpuPart.Of(Int4Layout.RowTiles(rows), thread, threads);
        for (int group = 0; group < groups; group++)
        {
            ushort* from = CpuVectors.Row(source, group);
            for (int tile = part.From; tile < part.To; tile++)
            {
                int row = tile * Int4Layout.TileRows;
                var target = new Span<ushort>(to + Int4Layout.ScaleIndex(row, group, groups), Int4Layout.TileRows);
                int count = Math.Min(Int4Layout.TileRows, rows - row);
                new ReadOnlySpan<ushort>(from + row, count).CopyTo(target);
                target[count..].Clear();
            }
        }
    }
}
