using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Carries the state through a sequence's chunks on the tensor cores: X = V − diag(e^γ) K S; V′ = T X; O = diag(e^γ) Q S + P V′;
/// S ← e^γ_last S + Kᵀ diag(e^(γ_last − γ)) V′, where T is (I + A)⁻¹ diag(β). A group of four warps has 64 value columns of one value head
/// of one sequence. qkv: [T, Channels / 8] words of f16; state: [slots, Hv · Dv · Dk / 2] pairs; snapshotSlot: per chunk a slot that takes
/// the state after it, or −1; y: [T, Hv · Dv] float.
/// </summary>
/// <remarks>
/// Everything is computed transposed: a warp's 16 value columns are the rows of its fragments, so that what one product yields is the next
/// one's A operand in the same lane, and the state never leaves the registers. Only K, Q, V, T and P pass through shared memory, as B
/// operands. K has two places, the others one, which the next chunk's tile enters as soon as all warps have read this one's.
/// The state is rounded to f16 as an operand, never where it is kept (but to its storage type after each chunk).
/// </remarks>
[LaunchBounds(GroupSize, MinGroups = 1)]
[Instantiation(typeof(Dim64), typeof(Float4), typeof(F32State))]
[Instantiation(typeof(Dim128), typeof(Float4), typeof(F32State))]
[Instantiation(typeof(Dim128), typeof(UInt2), typeof(F16State))]
[Instantiation(typeof(Dim128), typeof(UInt2), typeof(Bf16State))]
internal readonly struct TensorCoreChunkScanKernel<THeadDim, TWord, TState>(
    DeltaShape shape,
    DeltaScanOperands rows,
    ChunkList chunks,
    DeltaPrefillScratch scratch,
    Matrix<TWord> state) : IGroupKernel, ILaunchSize
    where THeadDim : struct, IConstant
    where TWord : unmanaged
    where TState : struct, IDeltaStateFormat<TWord>
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 128;

    private const int Rows = ChunkList.ChunkRows;
    private const int BlockColumns = 64;                    // of V, 16 a warp
    private const int BlockWords = BlockColumns / 8;

    private static int Blocks => THeadDim.Value / BlockColumns;

    // The shared memory: K twice, Q, V, T, P, and the decays twice.
    private static int RowWords => THeadDim.Value / 8;

    private static int KeyTile => Rows * RowWords;

    private static int QueryPlace => 2 * KeyTile;

    private static int ValuePlace => 3 * KeyTile;

    private static int InversePlace => ValuePlace + (Rows * BlockWords);

    private static int ScorePlace => InversePlace + DeltaPrefillScratch.TriangleWords;

    private static int DecayPlace => ScorePlace + DeltaPrefillScratch.TriangleWords;

    private static int SharedWords => DecayPlace + (2 * DeltaPrefillScratch.DecayWords);

    /// <summary>One group per sequence, value head and 64 columns of it.</summary>
    public KernelConfig Config => LaunchSize.Config<TensorCoreChunkScanKernel<THeadDim, TWord, TState>>(
        new Index3D((int)rows.StateSlot.Length * shape.ValueHeads * Blocks, 1, 1));

    static int ILaunchSize.GroupSize => GroupSize;

    public static int DynamicSharedBytes => SharedWords * 16;

    public static void DeltaPrefillScan(TensorCoreChunkScanKernel<THeadDim, TWord, TState> kernel) => kernel.Execute();

    public void Execute()
    {
        ArrayView<UInt4> shared = SharedMemory.GetDynamic<UInt4>();
        int column = (Grid.IdxX & (Blocks - 1)) * BlockColumns;
        int head = (int)((uint)Grid.IdxX / (uint)Blocks) % shape.ValueHeads;
        int keyHead = head / shape.Ratio;
        int sequence = Grid.IdxX / (Blocks * shape.ValueHeads);
        int chunk = chunks.FirstChunk[sequence];
        int end = chunks.FirstChunk[sequence + 1];
        if (chunk == end)
            return;

        ArrayView<UInt2> decays = shared.Cast<UInt2>();
        int lane = Group.IdxX & 31;
        int warp = Group.IdxX >> 5;
        int transposedRow = (lane & 7) + (((lane >> 3) & 1) << 3);

        // This lane's pairs of keys of value columns g and g + 8 of the warp's 16.
        int pair = (((head * THeadDim.Value) + column + (16 * warp) + (lane >> 2)) * (THeadDim.Value / 2)) + (lane & 3);
        int slot = rows.StateSlot[sequence];
        DeltaStateStrips carried = default;
        if (rows.Positions[rows.FirstRow[sequence]] != 0)
            carried = LoadState(state.Row(slot), pair);

        int keyPlace = 0;
        int decayPlace = DecayPlace;
        LoadKeys(shared, keyPlace, decayPlace, chunk, head, keyHead);
        AsyncCopy.Commit();
        LoadQueriesAndValues(shared, chunk, head, keyHead, column);
        AsyncCopy.Commit();
        LoadTriangles(shared, chunk, head);
        AsyncCopy.Commit();
        while (chunk < end)
        {
            int first = chunks.FirstRow[chunk];
            int count = chunks.Rows[chunk];
            int next = chunk + 1;
            int beforePairs = 2 * decayPlace;
            int afterPairs = beforePairs + (Rows / 2);

            AsyncCopy.Wait1();                              // K, the decays, Q and V are here, T and P may still be on their way
            Group.Barrier();
            keyPlace = KeyTile - keyPlace;
            decayPlace = (2 * DecayPlace) + DeltaPrefillScratch.DecayWords - decayPlace;
            if (next < end)
                LoadKeys(shared, keyPlace, decayPlace, next, head, keyHead);
            AsyncCopy.Commit();

            int keys = KeyTile - keyPlace;
            StateOperand operand = carried.ToOperand();
            FragmentStrip read = default;
            FragmentStrip outputs = default;
            for (int source = 0; source < 2; source++)      // K, then Q
            {
                read = outputs;
                outputs = Read(operand, shared, source == 0 ? keys : QueryPlace).TimesColumns(decays, beforePairs);
            }

            StripOperand factor = Difference(shared, read, warp, lane).ToOperand();

            AsyncCopy.Wait1();                              // T and P
            Group.Barrier();
            if (next < end)
                LoadQueriesAndValues(shared, next, head, keyHead, column);
            AsyncCopy.Commit();

            FragmentStrip values = default;
            FragmentStrip sums = default;
            FragmentStrip start = default;
            for (int source = 0; source < 2; source++)      // T, then P
            {
                values = sums;
                sums = F16Tile.TimesTriangle(start, factor, shared, source == 0 ? InversePlace : ScorePlace);
                factor = sums.ToOperand();
                start = outputs;
            }

            StripOperand decayed = values.TimesColumns(decays, afterPairs).ToOperand();
            float decay = Interop.IntAsFloat(decays[beforePairs + (Rows / 2) - 1].Y);
            Group.Barrier();
            if (next < end)
                LoadTriangles(shared, next, head);
            AsyncCopy.Commit();

            StoreOutputs(sums, Outputs(first, count, (head * THeadDim.Value) + column + (16 * warp) + (lane >> 2)), count, 2 * (lane & 3));
            for (int half = 0; half < Blocks; half++)
            {
                FragmentStrip strip = F16Tile.TimesColumns(
                    carried.First * decay, decayed, shared, keys, RowWords, half * BlockWords, transposedRow);
                carried = carried.Appended<THeadDim>(strip);
            }

            carried = Round(carried);
            if (rows.Snapshots != 0)
            {
                int snapshot = rows.SnapshotSlot[chunk];
                if (snapshot >= 0)
                    StoreState(state.Row(snapshot), pair, carried);
            }

            chunk = next;
        }

        StoreState(state.Row(slot), pair, carried);
    }

    // (state)ᵀ times the rows of K or Q: 16 value columns × 64 rows.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FragmentStrip Read(StateOperand operand, ArrayView<UInt4> shared, int start)
    {
        FragmentStrip sums = default;
        for (int half = 0; half < Blocks; half++)
        {
            sums = F16Tile.TimesRows(sums, operand.First, shared, start, RowWords, half * BlockWords);
            operand = operand.Swapped();
        }

        return sums;
    }

    // V − read, transposed.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static FragmentStrip Difference(ArrayView<UInt4> shared, FragmentStrip read, int warp, int lane)
    {
        int row = (lane & 7) + ((lane >> 4) << 3);
        int place = ValuePlace + F16Tile.Place(row, (2 * warp) + ((lane >> 3) & 1), BlockWords);
        UInt4 v0 = LoadMatrix.X4Transposed(ref shared[place]);
        UInt4 v16 = LoadMatrix.X4Transposed(ref shared[place + (16 * BlockWords)]);
        UInt4 v32 = LoadMatrix.X4Transposed(ref shared[place + (32 * BlockWords)]);
        UInt4 v48 = LoadMatrix.X4Transposed(ref shared[place + (48 * BlockWords)]);
        return new FragmentStrip(
            new FragmentRow(
                Pairs(v0.X, v0.Y) - read.Left.N0, Pairs(v0.Z, v0.W) - read.Left.N8,
                Pairs(v16.X, v16.Y) - read.Left.N16, Pairs(v16.Z, v16.W) - read.Left.N24),
            new FragmentRow(
                Pairs(v32.X, v32.Y) - read.Right.N0, Pairs(v32.Z, v32.W) - read.Right.N8,
                Pairs(v48.X, v48.Y) - read.Right.N16, Pairs(v48.Z, v48.W) - read.Right.N24));
    }

    private static Float4 Pairs(uint above, uint below) => new(F16x2.Low(above), F16x2.High(above), F16x2.Low(below), F16x2.High(below));

    // Rows past the chunk's end arrive as zeros.
    private void LoadRows(ArrayView<UInt4> shared, int start, int rowWords, int chunk, int firstWord)
    {
        int count = chunks.Rows[chunk];
        int stride = scratch.Qkv.Stride;
        ArrayView<UInt4> source = scratch.Qkv.Data.SubView(
            ((long)chunks.FirstRow[chunk] * stride) + firstWord, ((long)(count - 1) * stride) + rowWords);
        for (int n = 0; n < Rows * rowWords / GroupSize; n++)
        {
            int i = Group.IdxX + (n * GroupSize);
            int row = (int)((uint)i / (uint)rowWords);
            int word = i & (rowWords - 1);
            bool present = row < count;
            AsyncCopy.Copy16OrZero(
                ref shared[start + F16Tile.Place(row, word, rowWords)], ref source[((present ? row : 0) * stride) + word], present);
        }
    }

    private void LoadKeys(ArrayView<UInt4> shared, int start, int decayStart, int chunk, int head, int keyHead)
    {
        LoadRows(shared, start, RowWords, chunk, (shape.KeyHeads + keyHead) * RowWords);
        if (Group.IdxX < DeltaPrefillScratch.DecayWords)
        {
            long source = (((long)chunk * shape.ValueHeads) + head) * DeltaPrefillScratch.DecayWords;
            AsyncCopy.Copy16(ref shared[decayStart + Group.IdxX], ref scratch.Decays[source + Group.IdxX]);
        }
    }

    private void LoadQueriesAndValues(ArrayView<UInt4> shared, int chunk, int head, int keyHead, int column)
    {
        LoadRows(shared, QueryPlace, RowWords, chunk, keyHead * RowWords);
        LoadRows(shared, ValuePlace, BlockWords, chunk, (((2 * shape.KeyHeads) + head) * RowWords) + (column >> 3));
    }

    private void LoadTriangles(ArrayView<UInt4> shared, int chunk, int head)
    {
        long source = (((long)chunk * shape.ValueHeads) + head) * DeltaPrefillScratch.TriangleWords;
        for (int n = 0; n < DeltaPrefillScratch.TriangleWords / GroupSize; n++)
        {
            int i = Group.IdxX + (n * GroupSize);
            int place = F16Tile.Place((int)((uint)i / BlockWords), i & (BlockWords - 1), BlockWords);
            AsyncCopy.Copy16(ref shared[InversePlace + place], ref scratch.T[source + i]);
            AsyncCopy.Copy16(ref shared[ScorePlace + place], ref scratch.P[source + i]);
        }
    }

    // The chunk's rows of y from a column on, so that indices in it need 32 bits.
    private ArrayView<float> Outputs(int first, int count, int column) =>
        rows.Y.Data.SubView(((long)first * rows.Y.Stride) + column, ((long)(count - 1) * rows.Y.Stride) + 9);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void StoreOutputs(FragmentStrip o, ArrayView<float> y, int count, int row)
    {
        StoreOutputs(o.Left, y, count, row);
        StoreOutputs(o.Right, y, count, row + 32);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void StoreOutputs(FragmentRow o, ArrayView<float> y, int count, int row)
    {
        StoreOutputs(o.N0, y, count, row);
        StoreOutputs(o.N8, y, count, row + 8);
        StoreOutputs(o.N16, y, count, row + 16);
        StoreOutputs(o.N24, y, count, row + 24);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void StoreOutputs(Float4 o, ArrayView<float> y, int count, int row)
    {
        int place = row * rows.Y.Stride;
        if (row < count)
        {
            y[place] = o.X;
            y[place + 8] = o.Z;
        }

        place += rows.Y.Stride;
        if (row + 1 < count)
        {
            y[place] = o.Y;
            y[place + 8] = o.W;
        }
    }

    private static DeltaStateStrips LoadState(ArrayView<TWord> slot, int pair)
    {
        FragmentStrip first = LoadStrip(slot, pair);
        return new DeltaStateStrips(first, Blocks > 1 ? LoadStrip(slot, pair + 32) : first);
    }

    private static FragmentStrip LoadStrip(ArrayView<TWord> slot, int pair) =>
        new(LoadFragments(slot, pair), LoadFragments(slot, pair + 16));

    private static FragmentRow LoadFragments(ArrayView<TWord> slot, int pair) =>
        new(LoadFragment(slot, pair), LoadFragment(slot, pair + 4), LoadFragment(slot, pair + 8), LoadFragment(slot, pair + 12));

    private static Float4 LoadFragment(ArrayView<TWord> slot, int pair)
    {
        Float2 above = TState.LoadPair(slot, pair);
        Float2 below = TState.LoadPair(slot, pair + (4 * THeadDim.Value));
        return new Float4(above.X, above.Y, below.X, below.Y);
    }

    private static void StoreState(ArrayView<TWord> slot, int pair, DeltaStateStrips strips)
    {
        StoreStrip(slot, pair, strips.First);
        if (Blocks > 1)
            StoreStrip(slot, pair + 32, strips.Second);
    }

    private static void StoreStrip(ArrayView<TWord> slot, int pair, FragmentStrip strip)
    {
        StoreFragments(slot, pair, strip.Left);
        StoreFragments(slot, pair + 16, strip.Right);
    }

    private static void StoreFragments(ArrayView<TWord> slot, int pair, FragmentRow row)
    {
        StoreFragment(slot, pair, row.N0);
        StoreFragment(slot, pair + 4, row.N8);
        StoreFragment(slot, pair + 8, row.N16);
        StoreFragment(slot, pair + 12, row.N24);
    }

    private static void StoreFragment(ArrayView<TWord> slot, int pair, Float4 values)
    {
        TState.StorePair(slot, pair, values.X, values.Y);
        TState.StorePair(slot, pair + (4 * THeadDim.Value), values.Z, values.W);
    }

    private static DeltaStateStrips Round(DeltaStateStrips strips) =>
        new(Round(strips.First), Blocks > 1 ? Round(strips.Second) : default);

    private static FragmentStrip Round(FragmentStrip strip) => new(Round(strip.Left), Round(strip.Right));

    private static FragmentRow Round(FragmentRow row) =>
        new(Round(row.N0), Round(row.N8), Round(row.N16), Round(row.N24));

    private static Float4 Round(Float4 values) => TState.Load(TState.Store(values));
}

/// <summary>
/// Where a scan's sequences lie and what it writes. Snapshots: whether SnapshotSlot, per chunk a slot or −1, is read. Y: [T, Hv · Dv].
/// </summary>
internal readonly struct DeltaScanOperands(ChunkedRows rows, Matrix<float> y)
{
    public readonly ArrayView<int> FirstRow = rows.FirstRow;
    public readonly ArrayView<int> Positions = rows.Positions;
    public readonly ArrayView<int> StateSlot = rows.StateSlot;
    public readonly ArrayView<int> SnapshotSlot = rows.SnapshotSlot;
    public readonly int Snapshots = rows.SnapshotSlot.Length > 0 ? 1 : 0;
    public readonly Matrix<float> Y = y;
}
