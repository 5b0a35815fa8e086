using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A chunk's A and (I + A)⁻¹ in shared memory, as 128 threads compute them: two 64 × 64 floats in rows of 68. Row and column: the first
/// element that this thread holds of its warp's strip of products.
/// </summary>
/// <remarks>
/// The inverse T grows from its diagonal: 16 × 16 blocks by substitution, then twice [A 0; C B]⁻¹ = [A⁻¹ 0; −B⁻¹ C A⁻¹ B⁻¹]. With keys
/// of length 1 and β ≤ 1 no element of T exceeds 1; products in float keep what f16 holds of it.
/// </remarks>
internal readonly struct ChunkTriangle(ArrayView<float> shared, int row, int column)
{
    /// <summary>Floats from row to row.</summary>
    public const int Stride = 68;

    private const int Rows = ChunkList.ChunkRows;
    private const int Size = Rows * Stride;
    private const int StrideWords = Stride / 4;
    private const int SizeWords = Size / 4;

    /// <summary>A_ij = β_i (k_i · k_j) D_ij below the diagonal to shared memory; P_ij = (q_i · k_j) D_ij up to it to p.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Fill(FragmentStrip kk, FragmentStrip qk, ArrayView<UInt4> exponents, ArrayView<float> betas, ArrayView<UInt4> p)
    {
        ArrayView<uint> words = p.Cast<uint>();
        Fill(kk.Left, qk.Left, 0, exponents, betas, words);
        Fill(kk.Right, qk.Right, 32, exponents, betas, words);
    }

    /// <summary>The inverse of I + A beside A. Every thread comes here.</summary>
    public void Invert()
    {
        ArrayView<Float4> words = shared.Cast<Float4>();
        Group.Barrier();
        if (Group.IdxX < 64)
            InvertBlock(words, Group.IdxX >> 4, Group.IdxX & 15);
        else
            ClearBeside(words, Group.IdxX - 64);
        Group.Barrier();

        // Two pairs of 16 × 16 blocks, four columns a thread.
        int origin = (Group.IdxX >> 6) * 32;
        int i = (Group.IdxX & 63) >> 2;
        int word = (origin >> 2) + (Group.IdxX & 3);
        Float4 product = default;
        for (int l = 0; l < 16; l++)
        {
            float a = shared[((origin + 16 + i) * Stride) + origin + l];
            product = Float32.Fma(words[SizeWords + ((origin + l) * StrideWords) + word], a, product);
        }

        Group.Barrier();
        words[((origin + 16 + i) * StrideWords) + word] = product;
        Group.Barrier();
        product = default;
        for (int l = 0; l < 16; l++)
        {
            float t = shared[Size + ((origin + 16 + i) * Stride) + origin + 16 + l];
            product = Float32.Fma(words[((origin + 16 + l) * StrideWords) + word], t, product);
        }

        words[SizeWords + ((origin + 16 + i) * StrideWords) + word] = product * -1;
        Group.Barrier();

        // One pair of 32 × 32 blocks, eight columns a thread.
        i = Group.IdxX >> 2;
        word = Group.IdxX & 3;
        Float4 left = default;
        Float4 right = default;
        for (int l = 0; l < 32; l++)
        {
            float a = shared[((32 + i) * Stride) + l];
            left = Float32.Fma(words[SizeWords + (l * StrideWords) + word], a, left);
            right = Float32.Fma(words[SizeWords + (l * StrideWords) + word + 4], a, right);
        }

        Group.Barrier();
        words[((32 + i) * StrideWords) + word] = left;
        words[((32 + i) * StrideWords) + word + 4] = right;
        Group.Barrier();
        left = default;
        right = default;
        for (int l = 0; l < 32; l++)
        {
            float t = shared[Size + ((32 + i) * Stride) + 32 + l];
            left = Float32.Fma(words[((32 + l) * StrideWords) + word], t, left);
            right = Float32.Fma(words[((32 + l) * StrideWords) + word + 4], t, right);
        }

        words[SizeWords + ((32 + i) * StrideWords) + word] = left * -1;
        words[SizeWords + ((32 + i) * StrideWords) + word + 4] = right * -1;
        Group.Barrier();
    }

    /// <summary>The inverse · diag(β) as f16, zeros above the diagonal, to t: 64 rows of eight words.</summary>
    public void Write(ArrayView<float> betas, ArrayView<UInt4> t)
    {
        ArrayView<Float4> words = shared.Cast<Float4>();
        ArrayView<Float4> factors = betas.Cast<Float4>();
        for (int place = Group.IdxX; place < DeltaPrefillScratch.TriangleWords; place += ChunkPrepareKernel<Dim128>.GroupSize)
        {
            int i = place >> 3;
            int word = 2 * (place & 7);
            Float4 left = words[SizeWords + (i * StrideWords) + word];
            Float4 right = words[SizeWords + (i * StrideWords) + word + 1];
            Float4 leftFactor = factors[word];
            Float4 rightFactor = factors[word + 1];
            int j = 4 * word;
            t[place] = new UInt4(
                F16x2.Pack(j <= i ? left.X * leftFactor.X : 0, j + 1 <= i ? left.Y * leftFactor.Y : 0),
                F16x2.Pack(j + 2 <= i ? left.Z * leftFactor.Z : 0, j + 3 <= i ? left.W * leftFactor.W : 0),
                F16x2.Pack(j + 4 <= i ? right.X * rightFactor.X : 0, j + 5 <= i ? right.Y * rightFactor.Y : 0),
                F16x2.Pack(j + 6 <= i ? right.Z * rightFactor.Z : 0, j + 7 <= i ? right.W * rightFactor.W : 0));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Fill(FragmentRow kk, FragmentRow qk, int from, ArrayView<UInt4> exponents, ArrayView<float> betas, ArrayView<uint> p)
    {
        Fill(kk.N0, qk.N0, from + column, exponents, betas, p);
        Fill(kk.N8, qk.N8, from + 8 + column, exponents, betas, p);
        Fill(kk.N16, qk.N16, from + 16 + column, exponents, betas, p);
        Fill(kk.N24, qk.N24, from + 24 + column, exponents, betas, p);
    }

    // Elements (row, j), (row, j + 1) and the same eight rows below.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Fill(Float4 kk, Float4 qk, int j, ArrayView<UInt4> exponents, ArrayView<float> betas, ArrayView<uint> p)
    {
        UInt4 pair = exponents[j >> 1];
        FillRow(row, j, pair, kk.X, kk.Y, qk.X, qk.Y, exponents, betas, p);
        FillRow(row + 8, j, pair, kk.Z, kk.W, qk.Z, qk.W, exponents, betas, p);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void FillRow(
        int i,
        int j,
        UInt4 pair,
        float kkEven,
        float kkOdd,
        float qkEven,
        float qkOdd,
        ArrayView<UInt4> exponents,
        ArrayView<float> betas,
        ArrayView<uint> p)
    {
        ArrayView<UInt2> rows = exponents.Cast<UInt2>();
        UInt2 own = rows[i];
        float even = Decay(own, pair.X, pair.Y, j <= i);
        float odd = Decay(own, pair.Z, pair.W, j + 1 <= i);
        float beta = betas[i];
        shared[(i * Stride) + j] = j < i ? beta * kkEven * even : 0;
        shared[(i * Stride) + j + 1] = j + 1 < i ? beta * kkOdd * odd : 0;
        p[((i * Rows) + j) >> 1] = F16x2.Pack(qkEven * even, qkOdd * odd);
    }

    // 2^(of row i − of row j), each the sum of two floats; zero above the diagonal, where it might overflow.
    private static float Decay(UInt2 i, uint highOfJ, uint lowOfJ, bool below)
    {
        float difference = (Interop.IntAsFloat(i.X) - Interop.IntAsFloat(highOfJ)) + (Interop.IntAsFloat(i.Y) - Interop.IntAsFloat(lowOfJ));
        float decay = Float32.Exp2(below ? difference : 0);
        return below ? decay : 0;
    }

    // Column c of the inverse of a diagonal block: x_i = [i = c] − Σ_{l < i} A_il x_l. What is not solved yet is zero on both sides.
    private void InvertBlock(ArrayView<Float4> words, int block, int c)
    {
        int place = (16 * block * StrideWords) + (4 * block);
        SolvedColumn x = default;
        x.R0.X = x.Next(words, place, c == 0);
        x.R0.Y = x.Next(words, place + StrideWords, c == 1);
        x.R0.Z = x.Next(words, place + (2 * StrideWords), c == 2);
        x.R0.W = x.Next(words, place + (3 * StrideWords), c == 3);
        x.R4.X = x.Next(words, place + (4 * StrideWords), c == 4);
        x.R4.Y = x.Next(words, place + (5 * StrideWords), c == 5);
        x.R4.Z = x.Next(words, place + (6 * StrideWords), c == 6);
        x.R4.W = x.Next(words, place + (7 * StrideWords), c == 7);
        x.R8.X = x.Next(words, place + (8 * StrideWords), c == 8);
        x.R8.Y = x.Next(words, place + (9 * StrideWords), c == 9);
        x.R8.Z = x.Next(words, place + (10 * StrideWords), c == 10);
        x.R8.W = x.Next(words, place + (11 * StrideWords), c == 11);
        x.R12.X = x.Next(words, place + (12 * StrideWords), c == 12);
        x.R12.Y = x.Next(words, place + (13 * StrideWords), c == 13);
        x.R12.Z = x.Next(words, place + (14 * StrideWords), c == 14);
        x.R12.W = x.Next(words, place + (15 * StrideWords), c == 15);
        int start = Size + (16 * block * Stride) + (16 * block) + c;
        Put(start, x.R0);
        Put(start + (4 * Stride), x.R4);
        Put(start + (8 * Stride), x.R8);
        Put(start + (12 * Stride), x.R12);
    }

    private void Put(int start, Float4 x)
    {
        shared[start] = x.X;
        shared[start + Stride] = x.Y;
        shared[start + (2 * Stride)] = x.Z;
        shared[start + (3 * Stride)] = x.W;
    }

    // The block to the right of an even diagonal block, which products with the pair's 32 × 32 inverse read: two words a thread.
    private static void ClearBeside(ArrayView<Float4> words, int thread)
    {
        int place = SizeWords + (((thread >> 5) * 32) + ((thread & 31) >> 1)) * StrideWords;
        int word = ((thread >> 5) * 8) + 4 + (2 * (thread & 1));
        words[place + word] = default;
        words[place + word + 1] = default;
    }

    /// <summary>A column of 16, solved from above; rows not reached yet are zero.</summary>
    private struct SolvedColumn
    {
        public Float4 R0;
        public Float4 R4;
        public Float4 R8;
        public Float4 R12;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public readonly float Next(ArrayView<Float4> words, int place, bool unit)
        {
            float known = (Dot(R0, words[place]) + Dot(R4, words[place + 1]))
                + (Dot(R8, words[place + 2]) + Dot(R12, words[place + 3]));
            return unit ? 1 - known : -known;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static float Dot(Float4 a, Float4 b) => Float32.Fma(a.Y, b.Y, a.X * b.X) + Float32.Fma(a.W, b.W, a.Z * b.Z);
    }
}
