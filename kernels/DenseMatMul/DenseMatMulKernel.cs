using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// y = x · Wᵀ. x: [M, K] float; w: [N, K] in 16-byte words of <typeparamref name="TWeight"/>; y: [M, N] float. An item is four rows of
/// w by up to four tokens: a full tile of tokens takes two rows at a time, the rest of M one token at a time.
/// </summary>
/// <remarks>
/// Every path sums an output in the same order: products in the order of k within a block of 128 k, one chain a block, then the
/// blocks in order. Each addition has exactly one product as operand, so contraction to fused multiply-adds cannot tell paths apart
/// either, and an output's bits do not depend on M.
/// AggressiveOptimization spares the CPU accelerator's first steps the unoptimised code that .NET would start with.
/// </remarks>
[Instantiation(typeof(F32Weights))]
[Instantiation(typeof(F16Weights))]
[Instantiation(typeof(Bf16Weights))]
internal readonly struct DenseMatMulKernel<TWeight>(Matrix<float> x, Matrix<UInt4> w, Matrix<float> y) : IPortableKernel
    where TWeight : struct, IWeightFormat
{
    private const int TileRows = 4;
    private const int TileTokens = 4;
    private const int BlockOctets = 16;

    public int Items => RowTiles * ((y.Rows + TileTokens - 1) / TileTokens);

    private int RowTiles => (y.Columns + TileRows - 1) / TileRows;

    public static void DenseMatMul(Index1D thread, int threads, DenseMatMulKernel<TWeight> kernel) =>
        PortableLoop.Run(thread, threads, kernel);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Execute(int item)
    {
        int firstRow = item % RowTiles * TileRows;
        int token = item / RowTiles * TileTokens;
        if (token + TileTokens <= y.Rows)
        {
            for (int row = firstRow; row < firstRow + TileRows && row < y.Columns; row += 2)
                TwoRowsFourTokens(row, token);
            return;
        }

        for (; token < y.Rows; token++)
            FourRowsOneToken(firstRow, token);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FourRowsOneToken(int row, int token)
    {
        int last = y.Columns - 1;                       // rows past the last repeat it and are not stored
        ArrayView<float> xRow = x.Row(token);
        ArrayView<UInt4> w0 = w.Row(row);
        ArrayView<UInt4> w1 = w.Row(Min(row + 1, last));
        ArrayView<UInt4> w2 = w.Row(Min(row + 2, last));
        ArrayView<UInt4> w3 = w.Row(Min(row + 3, last));
        int octets = x.Columns / 8;
        Float4 total = default;
        for (int block = 0; block < octets; block += BlockOctets)
        {
            Float4 sum = default;
            int end = Min(block + BlockOctets, octets);
            for (int octet = block; octet < end; octet++)
                AddFourRows(ref sum, ref Float8.At(xRow, 8 * octet), w0, w1, w2, w3, octet);
            Add(ref total, sum);
        }

        if (octets * 8 < x.Columns)
        {
            Float8 xLast = Float8.Last(xRow, octets * 8);
            Float4 sum = default;
            AddFourRows(ref sum, ref xLast, w0, w1, w2, w3, octets);
            Add(ref total, sum);
        }

        ArrayView<float> yRow = y.Row(token);
        yRow[row] = total.X;
        if (row + 1 <= last)
            yRow[row + 1] = total.Y;
        if (row + 2 <= last)
            yRow[row + 2] = total.Z;
        if (row + 3 <= last)
            yRow[row + 3] = total.W;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void TwoRowsFourTokens(int row, int token)
    {
        int last = y.Columns - 1;
        ArrayView<float> x0 = x.Row(token);
        ArrayView<float> x1 = x.Row(token + 1);
        ArrayView<float> x2 = x.Row(token + 2);
        ArrayView<float> x3 = x.Row(token + 3);
        ArrayView<UInt4> w0 = w.Row(row);
        ArrayView<UInt4> w1 = w.Row(Min(row + 1, last));
        int octets = x.Columns / 8;
        Float4 total0 = default;
        Float4 total1 = default;
        for (int block = 0; block < octets; block += BlockOctets)
        {
            Float4 sum0 = default;
            Float4 sum1 = default;
            int end = Min(block + BlockOctets, octets);
            for (int octet = block; octet < end; octet++)
            {
                int k = 8 * octet;
                AddFourTokens(
                    ref sum0, ref sum1, ref Float8.At(x0, k), ref Float8.At(x1, k), ref Float8.At(x2, k), ref Float8.At(x3, k),
                    w0, w1, octet);
            }

            Add(ref total0, sum0);
            Add(ref total1, sum1);
        }

        if (octets * 8 < x.Columns)
        {
            Float8 x0Last = Float8.Last(x0, octets * 8);
            Float8 x1Last = Float8.Last(x1, octets * 8);
            Float8 x2Last = Float8.Last(x2, octets * 8);
            Float8 x3Last = Float8.Last(x3, octets * 8);
            Float4 sum0 = default;
            Float4 sum1 = default;
            AddFourTokens(ref sum0, ref sum1, ref x0Last, ref x1Last, ref x2Last, ref x3Last, w0, w1, octets);
            Add(ref total0, sum0);
            Add(ref total1, sum1);
        }

        Store(row, token, total0);
        if (row + 1 <= last)
            Store(row + 1, token, total1);
    }

    private void Store(int row, int token, Float4 total)
    {
        y[token, row] = total.X;
        y[token + 1, row] = total.Y;
        y[token + 2, row] = total.Z;
        y[token + 3, row] = total.W;
    }

    // sum.X … sum.W: four rows of w against the same eight elements of x.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFourRows(
        ref Float4 sum, ref Float8 xs, ArrayView<UInt4> w0, ArrayView<UInt4> w1, ArrayView<UInt4> w2, ArrayView<UInt4> w3, int octet)
    {
        UInt4 first0 = TWeight.FirstWord(w0, octet);
        UInt4 first1 = TWeight.FirstWord(w1, octet);
        UInt4 first2 = TWeight.FirstWord(w2, octet);
        UInt4 first3 = TWeight.FirstWord(w3, octet);
        AddFourRows(ref sum, ref xs.Low, TWeight.First(first0), TWeight.First(first1), TWeight.First(first2), TWeight.First(first3));
        AddFourRows(
            ref sum,
            ref xs.High,
            TWeight.Second(TWeight.SecondWord(w0, octet, first0)),
            TWeight.Second(TWeight.SecondWord(w1, octet, first1)),
            TWeight.Second(TWeight.SecondWord(w2, octet, first2)),
            TWeight.Second(TWeight.SecondWord(w3, octet, first3)));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFourRows(ref Float4 sum, ref Float4 xs, Float4 w0, Float4 w1, Float4 w2, Float4 w3)
    {
        float value = xs.X;
        sum.X += w0.X * value;
        sum.Y += w1.X * value;
        sum.Z += w2.X * value;
        sum.W += w3.X * value;
        value = xs.Y;
        sum.X += w0.Y * value;
        sum.Y += w1.Y * value;
        sum.Z += w2.Y * value;
        sum.W += w3.Y * value;
        value = xs.Z;
        sum.X += w0.Z * value;
        sum.Y += w1.Z * value;
        sum.Z += w2.Z * value;
        sum.W += w3.Z * value;
        value = xs.W;
        sum.X += w0.W * value;
        sum.Y += w1.W * value;
        sum.Z += w2.W * value;
        sum.W += w3.W * value;
    }

    // sum0, sum1: two rows of w, each against eight elements of four tokens.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFourTokens(
        ref Float4 sum0, ref Float4 sum1, ref Float8 x0, ref Float8 x1, ref Float8 x2, ref Float8 x3,
        ArrayView<UInt4> w0, ArrayView<UInt4> w1, int octet)
    {
        UInt4 first0 = TWeight.FirstWord(w0, octet);
        UInt4 first1 = TWeight.FirstWord(w1, octet);
        Float4 weights0 = TWeight.First(first0);
        Float4 weights1 = TWeight.First(first1);
        AddFourTokens(ref sum0, ref sum1, x0.Low.X, x1.Low.X, x2.Low.X, x3.Low.X, weights0.X, weights1.X);
        AddFourTokens(ref sum0, ref sum1, x0.Low.Y, x1.Low.Y, x2.Low.Y, x3.Low.Y, weights0.Y, weights1.Y);
        AddFourTokens(ref sum0, ref sum1, x0.Low.Z, x1.Low.Z, x2.Low.Z, x3.Low.Z, weights0.Z, weights1.Z);
        AddFourTokens(ref sum0, ref sum1, x0.Low.W, x1.Low.W, x2.Low.W, x3.Low.W, weights0.W, weights1.W);
        weights0 = TWeight.Second(TWeight.SecondWord(w0, octet, first0));
        weights1 = TWeight.Second(TWeight.SecondWord(w1, octet, first1));
        AddFourTokens(ref sum0, ref sum1, x0.High.X, x1.High.X, x2.High.X, x3.High.X, weights0.X, weights1.X);
        AddFourTokens(ref sum0, ref sum1, x0.High.Y, x1.High.Y, x2.High.Y, x3.High.Y, weights0.Y, weights1.Y);
        AddFourTokens(ref sum0, ref sum1, x0.High.Z, x1.High.Z, x2.High.Z, x3.High.Z, weights0.Z, weights1.Z);
        AddFourTokens(ref sum0, ref sum1, x0.High.W, x1.High.W, x2.High.W, x3.High.W, weights0.W, weights1.W);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void AddFourTokens(
        ref Float4 sum0, ref Float4 sum1, float x0, float x1, float x2, float x3, float weight0, float weight1)
    {
        sum0.X += weight0 * x0;
        sum1.X += weight1 * x0;
        sum0.Y += weight0 * x1;
        sum1.Y += weight1 * x1;
        sum0.Z += weight0 * x2;
        sum1.Z += weight1 * x2;
        sum0.W += weight0 * x3;
        sum1.W += weight1 * x3;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(ref Float4 total, Float4 sum)
    {
        total.X += sum.X;
        total.Y += sum.Y;
        total.Z += sum.Z;
        total.W += sum.W;
    }

    private static int Min(int a, int b) => a < b ? a : b;
}
