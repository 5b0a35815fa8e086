using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The chunks of a step, as the chunked delta rule reads them on the device: runs of at most <see cref="ChunkRows"/> rows of one
/// sequence that cross no absolute multiple of <see cref="ChunkRows"/>, so that the split of a prompt into steps leaves them alone.
/// </summary>
internal readonly struct ChunkList(ArrayView<int> firstRow, ArrayView<int> rows, ArrayView<int> firstChunk)
{
    /// <summary>Positions per chunk.</summary>
    public const int ChunkRows = 64;

    /// <summary>First row in the step of each chunk, [capacity].</summary>
    public readonly ArrayView<int> FirstRow = firstRow;

    /// <summary>Rows of each chunk, [capacity].</summary>
    public readonly ArrayView<int> Rows = rows;

    /// <summary>Chunks of sequence b are firstChunk[b] .. firstChunk[b + 1] − 1, [B + 1]; the last entry is their number.</summary>
    public readonly ArrayView<int> FirstChunk = firstChunk;

    /// <summary>The most chunks that fit.</summary>
    public int Capacity => (int)Rows.Length;

    /// <summary>B: sequences of the step.</summary>
    public int Sequences => (int)FirstChunk.Length - 1;

    /// <summary>Rows from one of a position to the end of its chunk.</summary>
    public static int RowsToBoundary(int position) => ChunkRows - (position & (ChunkRows - 1));

    /// <summary>The most chunks into which so many rows of so many sequences can fall: the capacity to allocate.</summary>
    public static int MaxChunks(int rows, int sequences)
    {
        // n ≥ 1 rows touch at most (n + 62) / 64 + 1 chunks.
        long bound = ((rows + ((ChunkRows - 2L) * sequences)) / ChunkRows) + sequences;
        return (int)Math.Min(rows, bound);
    }

    /// <summary>
    /// Fills the host copies of the three arrays and returns the number of chunks; entries past it stay as they are.
    /// firstRow: [B + 1]; positions: at least firstRow[B] entries, consecutive within a sequence.
    /// </summary>
    public static int Build(
        ReadOnlySpan<int> firstRow, ReadOnlySpan<int> positions, Span<int> chunkFirstRow, Span<int> chunkRows, Span<int> firstChunk)
    {
        const string Op = "chunk_list";
        Require.Equal(Op, "length of firstChunk", firstChunk.Length, "length of firstRow", firstRow.Length);
        int count = 0;
        for (int b = 0; b < firstRow.Length - 1; b++)
        {
            firstChunk[b] = count;
            for (int row = firstRow[b]; row < firstRow[b + 1];)
            {
                int rows = Math.Min(firstRow[b + 1] - row, RowsToBoundary(positions[row]));
                if (count >= Math.Min(chunkFirstRow.Length, chunkRows.Length))
                    throw new ArgumentException($"{Op}: the step has more chunks than the capacity {chunkFirstRow.Length}");
                chunkFirstRow[count] = row;
                chunkRows[count] = rows;
                count++;
                row += rows;
            }
        }

        firstChunk[^1] = count;
        return count;
    }
}
