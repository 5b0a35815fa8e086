namespace QwenIlgpu.Kernels;

/// <summary>Row by row through the source, whose neighbours are groups; a thread takes whole row tiles.</summary>
internal readonly unsafe partial struct PackFp4ScalesKernel : ICpuShare
{
    public bool TakesShape => true;

    public void Share(int thread, int threads)
    {
        CpuPart part = CpuPart.Of(Int4Layout.RowTiles(rows), thread, threads);
        for (int row = part.From * Int4Layout.TileRows; row < part.To * Int4Layout.TileRows; row++)
        {
            ushort* to = CpuVectors.Pointer(scales) + Fp4Layout.SlotIndex(row, 0, slots);
            bool present = row < rows;
            to[0] = (ushort)(present ? global >> 16 : 0);
            to[Int4Layout.TileRows] = (ushort)(present ? global : 0);
            byte* from = present ? CpuVectors.Row(source, row) : null;
            int end = present ? groups : 0;
            for (int slot = Fp4Layout.GlobalSlots; slot < slots; slot++)
            {
                int group = 2 * (slot - Fp4Layout.GlobalSlots);
                uint first = group < end ? from[group >> groupShift] : 0u;
                uint second = group + 1 < end ? from[(group + 1) >> groupShift] : 0u;
                to[slot * Int4Layout.TileRows] = (ushort)(first | (second << 8));
            }
        }
    }
}
