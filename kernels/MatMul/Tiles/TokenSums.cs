using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>A warp's sums of 16 rows by up to 64 tokens: D fragments of m16n8k16, one a tile of eight tokens.</summary>
internal readonly struct TokenSums(Float4 n0, Float4 n1, Float4 n2, Float4 n3, Float4 n4, Float4 n5, Float4 n6, Float4 n7)
{
    /// <summary>Floats from one token of a warp's sums in shared memory to the next: 16 rows, and no two lanes meet in a bank.</summary>
    public const int TokenStride = 20;

    public readonly Float4 N0 = n0;
    public readonly Float4 N1 = n1;
    public readonly Float4 N2 = n2;
    public readonly Float4 N3 = n3;
    public readonly Float4 N4 = n4;
    public readonly Float4 N5 = n5;
    public readonly Float4 N6 = n6;
    public readonly Float4 N7 = n7;

    /// <summary>As a value: a local that is set to default has an address, and ILGPU does not always take it back.</summary>
    public static TokenSums Zero => new(
        new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0),
        new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0), new Float4(0, 0, 0, 0));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TokenSums operator +(TokenSums a, TokenSums b) =>
        new(a.N0 + b.N0, a.N1 + b.N1, a.N2 + b.N2, a.N3 + b.N3, a.N4 + b.N4, a.N5 + b.N5, a.N6 + b.N6, a.N7 + b.N7);

    /// <summary>To a warp's place in shared memory: token by token, 16 rows each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<TTokenTiles>(ArrayView<float> partial, int warp)
        where TTokenTiles : struct, IConstant
    {
        int first = warp * TTokenTiles.Value * 8;
        Store(partial, N0, first);
        if (TTokenTiles.Value > 1)
            Store(partial, N1, first + 8);
        if (TTokenTiles.Value > 2)
        {
            Store(partial, N2, first + 16);
            Store(partial, N3, first + 24);
            Store(partial, N4, first + 32);
            Store(partial, N5, first + 40);
            Store(partial, N6, first + 48);
            Store(partial, N7, first + 56);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(ArrayView<float> partial, Float4 sums, int firstToken)
    {
        int lane = Group.IdxX & 31;
        int at = ((firstToken + (2 * (lane & 3))) * TokenStride) + (lane >> 2);
        partial[at] = sums.X;
        partial[at + TokenStride] = sums.Y;
        partial[at + 8] = sums.Z;
        partial[at + TokenStride + 8] = sums.W;
    }
}
