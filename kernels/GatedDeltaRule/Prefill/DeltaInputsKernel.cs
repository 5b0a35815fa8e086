using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What the chunked delta rule reads, from a layer's projections in one launch: convolution and SiLU of q | k | v, l2-normed q and k, as
/// f16; the gates. A group of four warps has 128 channels of one chunk, a warp 16 of its rows; a last group per chunk has the gates.
/// mixed: [T, Channels] and conv1d: [Channels, 4] in words of four floats; ring: [slots, ring rows · Channels / 4] words of four floats,
/// the row of position p at index p % ring rows, read and advanced as by <see cref="CausalConv1d"/>; b, a: [T, Hv] float.
/// </summary>
/// <remarks>
/// A lane has four channels and goes down its rows with the three before in registers, so that 16 or 32 lanes hold one head's row. The ring
/// is read by the warp with the first rows of a sequence alone; the same lanes then write the rows that stay, after their own reads.
/// </remarks>
[LaunchBounds(GroupSize)]
[Instantiation(typeof(Dim64))]
[Instantiation(typeof(Dim128))]
internal readonly struct DeltaInputsKernel<THeadDim>(
    DeltaShape shape, DeltaInputsOperands operands, ChunkList chunks, DeltaPrefillScratch scratch) : IGroupKernel
    where THeadDim : struct, IConstant
{
    /// <summary>Threads of a group.</summary>
    public const int GroupSize = 128;

    private const int BlockWords = 32;                      // words of four channels of a group, one a lane
    private const int WarpRows = ChunkList.ChunkRows * 32 / GroupSize;

    /// <summary>One group per chunk, as far as they can come, and 128 channels, and one more for the gates.</summary>
    public KernelConfig Config => new(new Index3D(Blocks + 1, (int)chunks.Rows.Length, 1), new Index3D(GroupSize, 1, 1));

    private int Words => shape.Channels >> 2;

    private int Blocks => (int)((uint)(Words + BlockWords - 1) / BlockWords);

    public static void DeltaPrefillInputs(DeltaInputsKernel<THeadDim> kernel) => kernel.Execute();

    public void Execute()
    {
        int chunk = Grid.IdxY;
        int sequences = (int)operands.StateSlot.Length;
        if (chunk >= chunks.FirstChunk[sequences])
            return;
        int first = chunks.FirstRow[chunk];
        int rows = chunks.Rows[chunk];
        if (Grid.IdxX == Blocks)
            WriteGates(first, rows);
        else
            WriteChannels(chunk, first, rows, (Grid.IdxX * BlockWords) + (Group.IdxX & 31));
    }

    private void WriteGates(int first, int rows)
    {
        for (int i = Group.IdxX; i < rows * shape.ValueHeads; i += GroupSize)
        {
            int row = first + (i / shape.ValueHeads);
            int head = i % shape.ValueHeads;
            scratch.Beta[row, head] = DeltaGate.Beta(operands.B[row, head]);
            scratch.G[row, head] = DeltaGate.LogDecay(operands.A[row, head], operands.ALog[head], operands.DtBias[head]);
        }
    }

    private void WriteChannels(int chunk, int first, int rows, int word)
    {
        bool inside = word < Words;
        int source = inside ? word : 0;
        int warpFirst = (Group.IdxX >> 5) * WarpRows;
        int sequence = SequenceOf(chunk);
        bool opens = chunk == chunks.FirstChunk[sequence] && warpFirst == 0;
        ConvolutionWindow window = new()
        {
            Channel0 = operands.Conv1d[4 * source, 0],
            Channel1 = operands.Conv1d[(4 * source) + 1, 0],
            Channel2 = operands.Conv1d[(4 * source) + 2, 0],
            Channel3 = operands.Conv1d[(4 * source) + 3, 0],
        };
        int slot = operands.StateSlot[sequence];
        if (opens)
        {
            int position = inside ? operands.Positions[first] : 0;          // the ring's first word is another group's
            window.Before3 = Carried(slot, position - 3, source);
            window.Before2 = Carried(slot, position - 2, source);
            window.Before1 = Carried(slot, position - 1, source);
            WriteRing(sequence, slot, source, inside);
        }
        else if (warpFirst < rows)
        {
            window.Before3 = operands.Mixed[first + warpFirst - 3, source];
            window.Before2 = operands.Mixed[first + warpFirst - 2, source];
            window.Before1 = operands.Mixed[first + warpFirst - 1, source];
        }

        // Three rows are on their way while one is computed.
        window.Own = operands.Mixed[first + XMath.Min(warpFirst, rows - 1), source];
        window.Next1 = operands.Mixed[first + XMath.Min(warpFirst + 1, rows - 1), source];
        window.Next2 = operands.Mixed[first + XMath.Min(warpFirst + 2, rows - 1), source];

        // Queries are scaled to Dk^−½ and keys to 1; values stay.
        int keyWords = shape.KeyChannels >> 2;
        bool normed = word < 2 * keyWords;
        float length = word < keyWords ? 1 / XMath.Sqrt(THeadDim.Value) : 1;
        ArrayView<UInt2> qkv = scratch.Qkv.Data.Cast<UInt2>();
        for (int i = 0; i < WarpRows; i++)
        {
            int row = warpFirst + i;
            Float4 next = operands.Mixed[first + XMath.Min(row + 3, rows - 1), source];
            Float4 y = window.Convolved();
            float squares = Float4.Dot(y, y);
            squares += WarpShuffle.Xor(squares, 8);
            squares += WarpShuffle.Xor(squares, 4);
            squares += WarpShuffle.Xor(squares, 2);
            squares += WarpShuffle.Xor(squares, 1);
            if (THeadDim.Value > 64)
                squares += WarpShuffle.Xor(squares, 16);
            float scale = normed ? length / XMath.Sqrt(squares + 1e-6f) : 1;
            y *= scale;
            if (row < rows && inside)
                qkv[((long)(first + row) * Words) + word] = new UInt2(F16x2.Pack(y.X, y.Y), F16x2.Pack(y.Z, y.W));
            window = window.Shifted(next);
        }
    }

    // The sequence whose chunks this one is among: few sequences, and every thread finds the same.
    private int SequenceOf(int chunk)
    {
        int sequence = 0;
        while (chunks.FirstChunk[sequence + 1] <= chunk)
            sequence++;
        return sequence;
    }

    private Float4 Carried(int slot, int position, int word) =>
        position < 0 ? default : operands.Ring[slot, (position % operands.RingRows * Words) + word];

    // The last rows of the sequence, as many as the ring holds.
    private void WriteRing(int sequence, int slot, int word, bool inside)
    {
        int end = operands.FirstRow[sequence + 1];
        int row = XMath.Max(operands.FirstRow[sequence], end - operands.RingRows);
        for (; inside && row < end; row++)
            operands.Ring[slot, (operands.Positions[row] % operands.RingRows * Words) + word] = operands.Mixed[row, word];
    }

    /// <summary>Four channels' taps, the last four rows of the convolution's input and the next two.</summary>
    private struct ConvolutionWindow
    {
        public Float4 Channel0;
        public Float4 Channel1;
        public Float4 Channel2;
        public Float4 Channel3;
        public Float4 Before3;
        public Float4 Before2;
        public Float4 Before1;
        public Float4 Own;
        public Float4 Next1;
        public Float4 Next2;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly Float4 Convolved() => new(
            Silu(Channel0, Before3.X, Before2.X, Before1.X, Own.X),
            Silu(Channel1, Before3.Y, Before2.Y, Before1.Y, Own.Y),
            Silu(Channel2, Before3.Z, Before2.Z, Before1.Z, Own.Z),
            Silu(Channel3, Before3.W, Before2.W, Before1.W, Own.W));

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly ConvolutionWindow Shifted(Float4 next2)
        {
            ConvolutionWindow next = this;
            next.Before3 = Before2;
            next.Before2 = Before1;
            next.Before1 = Own;
            next.Own = Next1;
            next.Next1 = Next2;
            next.Next2 = next2;
            return next;
        }

        private static float Silu(Float4 taps, float x0, float x1, float x2, float x3)
        {
            float sum = (taps.X * x0) + (taps.Y * x1) + (taps.Z * x2) + (taps.W * x3);
            return sum * Float32.Reciprocal(1 + XMath.Exp(-sum));
        }
    }
}

/// <summary>What <see cref="DeltaInputsKernel{THead}"/> reads of a layer and a step, and the ring that it advances.</summary>
internal readonly struct DeltaInputsOperands(
    DeltaProjections projections,
    DeltaParameters parameters,
    Matrix<float> ring,
    int ringRows,
    SlotRows rows)
{
    public readonly Matrix<Float4> Mixed = Float4.Words(DeltaPrefill.Op, "mixed", projections.Mixed);
    public readonly Matrix<float> B = projections.B;
    public readonly Matrix<float> A = projections.A;
    public readonly Matrix<Float4> Conv1d = Float4.Words(DeltaPrefill.Op, "conv1d", parameters.Conv1d);
    public readonly ArrayView<float> ALog = parameters.ALog;
    public readonly ArrayView<float> DtBias = parameters.DtBias;
    public readonly Matrix<Float4> Ring = Float4.Words(DeltaPrefill.Op, "ring", ring);
    public readonly int RingRows = ringRows;
    public readonly ArrayView<int> FirstRow = rows.FirstRow;
    public readonly ArrayView<int> Positions = rows.Positions;
    public readonly ArrayView<int> StateSlot = rows.StateSlot;
}
