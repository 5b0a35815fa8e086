using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How sixteen nibbles become weights scale · (code − zero), exactly: with two vectors of a row, which one or two groups of a tile share.
/// </summary>
internal unsafe interface INibbleWeights
{
    /// <summary>Writes the two vectors of each of the rows 0 … 15 for a tile of 64 k, <see cref="LaneSums.Floats"/> floats apart.</summary>
    static abstract void Prepare(in CpuWeights w, long rowTile, int tile, float* tables);

    /// <summary>The weights of the lowest four bits of each word.</summary>
    static abstract Vector512<float> Of(Vector512<uint> words, Vector512<float> first, Vector512<float> second);
}

/// <summary>
/// A group is a tile or several. With AVX-512 the first vector holds the sixteen weights that there are: a permutation sees the lowest four
/// bits of its indices and looks them up. Without it they are scale and −scale · zero, as in <see cref="HalfTileNibbles"/>.
/// </summary>
internal readonly unsafe struct WholeTileNibbles : INibbleWeights
{
    public static void Prepare(in CpuWeights w, long rowTile, int tile, float* tables)
    {
        int group = tile * Int4Layout.TileColumns / w.GroupSize;
        Vector512<float> scales = TileScales.Scales(w, rowTile, group);
        Vector512<float> biases = scales * -TileScales.Zeros(w, rowTile, group);
        float* numbers = stackalloc float[2 * LaneSums.Rows];
        scales.Store(numbers);
        biases.Store(numbers + LaneSums.Rows);
        Vector512<float> codes = Vector512.Create(0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        for (int row = 0; row < LaneSums.Rows; row++)
        {
            Vector512<float> scale = Vector512.Create(numbers[row]);
            Vector512<float> bias = Vector512.Create(numbers[row + LaneSums.Rows]);
            (Avx512F.IsSupported ? Vector512.FusedMultiplyAdd(codes, scale, bias) : scale).StoreAligned(tables + (row * CpuVectors.Width));
            if (!Avx512F.IsSupported)
                bias.StoreAligned(tables + LaneSums.Floats + (row * CpuVectors.Width));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<uint> words, Vector512<float> first, Vector512<float> second) =>
        Avx512F.IsSupported ? Avx512F.PermuteVar16x32(first, words.AsInt32()) : HalfTileNibbles.Of(words, first, second);
}

/// <summary>Groups of 32, two of them in a tile: every lane has its scale and −scale · zero.</summary>
internal readonly unsafe struct HalfTileNibbles : INibbleWeights
{
    public static void Prepare(in CpuWeights w, long rowTile, int tile, float* tables)
    {
        int group = 2 * tile;
        int next = Math.Min(group + 1, w.Groups - 1);   // K may end in the first half: there x is 0
        float* numbers = stackalloc float[4 * LaneSums.Rows];
        Vector512<float> scales = TileScales.Scales(w, rowTile, group);
        scales.Store(numbers);
        (scales * -TileScales.Zeros(w, rowTile, group)).Store(numbers + LaneSums.Rows);
        scales = TileScales.Scales(w, rowTile, next);
        scales.Store(numbers + (2 * LaneSums.Rows));
        (scales * -TileScales.Zeros(w, rowTile, next)).Store(numbers + (3 * LaneSums.Rows));

        // Words 0 and 1 of a lane of the tile are of the first group.
        Vector512<float> isFirst = Vector512.Create(-1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0, -1, -1, 0, 0).AsSingle();
        for (int row = 0; row < LaneSums.Rows; row++)
        {
            float* number = numbers + row;
            float* table = tables + (row * CpuVectors.Width);
            Vector512.ConditionalSelect(isFirst, Vector512.Create(number[0]), Vector512.Create(number[2 * LaneSums.Rows]))
                .StoreAligned(table);
            Vector512.ConditionalSelect(isFirst, Vector512.Create(number[LaneSums.Rows]), Vector512.Create(number[3 * LaneSums.Rows]))
                .StoreAligned(table + LaneSums.Floats);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(Vector512<uint> words, Vector512<float> first, Vector512<float> second)
    {
        Vector512<float> codes = Avx512F.IsSupported
            ? Avx512F.PermuteVar16x32(Vector512.Create(0f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), words.AsInt32())
            : Vector512.ConvertToSingle((words & Vector512.Create(15u)).AsInt32());
        return Vector512.FusedMultiplyAdd(codes, first, second);
    }
}
