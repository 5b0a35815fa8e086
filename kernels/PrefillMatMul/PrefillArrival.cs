using System.Runtime.CompilerServices;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The block that arrives while another is multiplied. Its copies are spread over the products: fragments are not loaded across a copy
/// to shared memory, which keeps the assembler from loading all of them first, for which there are no registers.
/// </summary>
internal readonly struct PrefillArrival<TTile>(PrefillStages<TTile> stages, int block, int stage, bool present, int parts)
    where TTile : struct, IPrefillTile
{
    /// <summary>After the products of a tile of tokens; a block goes in parts through all of them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void After(int done)
    {
        int turnTiles = TTile.TokenTiles / PrefillStages<TTile>.Turns * parts;
        if ((uint)(done + 1) % (uint)turnTiles == 0)
            stages.Copy(block, stage, (int)((uint)done / (uint)turnTiles), present);
    }
}
