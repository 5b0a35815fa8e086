using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>How many tiles of eight tokens a kernel has accumulators for.</summary>
internal interface ITokenTiles
{
    static abstract int Count { get; }
}

internal readonly struct OneTokenTile : ITokenTiles
{
    public static int Count => 1;
}

internal readonly struct TwoTokenTiles : ITokenTiles
{
    public static int Count => 2;
}

internal readonly struct EightTokenTiles : ITokenTiles
{
    public static int Count => 8;
}

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
    public void Store<TTokens>(ArrayView<float> partial, int warp)
        where TTokens : struct, ITokenTiles
    {
        int first = warp * TTokens.Count * 8;
        Store(partial, N0, first);
        if (TTokens.Count > 1)
            Store(partial, N1, first + 8);
        if (TTokens.Count > 2)
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
