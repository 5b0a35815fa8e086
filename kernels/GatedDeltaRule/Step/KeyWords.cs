using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The 32 keys of a state's value column, or of a row, that one lane keeps in registers: every step-th word of four from its first one
/// on. Multiplications and additions that must give the same bits at two places are fused by name, not by the compiler's choice.
/// </summary>
internal struct KeyWords
{
    /// <summary>Keys of a lane.</summary>
    public const int Keys = 32;

    public Float4 W0;
    public Float4 W1;
    public Float4 W2;
    public Float4 W3;
    public Float4 W4;
    public Float4 W5;
    public Float4 W6;
    public Float4 W7;

    /// <summary>Words of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KeyWords Of(ArrayView<Float4> words, int first, int step) => new()
    {
        W0 = words[first],
        W1 = words[first + step],
        W2 = words[first + (2 * step)],
        W3 = words[first + (3 * step)],
        W4 = words[first + (4 * step)],
        W5 = words[first + (5 * step)],
        W6 = words[first + (6 * step)],
        W7 = words[first + (7 * step)],
    };

    /// <summary>Words of a stored column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KeyWords Of<TWord, TState>(FetchedKeys<TWord> fetched)
        where TWord : unmanaged
        where TState : struct, IDeltaStateFormat<TWord> => new()
    {
        W0 = TState.Load(fetched.W0),
        W1 = TState.Load(fetched.W1),
        W2 = TState.Load(fetched.W2),
        W3 = TState.Load(fetched.W3),
        W4 = TState.Load(fetched.W4),
        W5 = TState.Load(fetched.W5),
        W6 = TState.Load(fetched.W6),
        W7 = TState.Load(fetched.W7),
    };

    /// <summary>Σ s · k over the lane's keys.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Dot(KeyWords s, KeyWords k)
    {
        Float4 sum = Fma(s.W0, k.W0, default);
        sum = Fma(s.W1, k.W1, sum);
        sum = Fma(s.W2, k.W2, sum);
        sum = Fma(s.W3, k.W3, sum);
        sum = Fma(s.W4, k.W4, sum);
        sum = Fma(s.W5, k.W5, sum);
        sum = Fma(s.W6, k.W6, sum);
        sum = Fma(s.W7, k.W7, sum);
        return (sum.X + sum.Y) + (sum.Z + sum.W);
    }

    /// <summary>decay · s + k · d.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KeyWords Advance(KeyWords s, float decay, KeyWords k, float d) => new()
    {
        W0 = Advance(s.W0, decay, k.W0, d),
        W1 = Advance(s.W1, decay, k.W1, d),
        W2 = Advance(s.W2, decay, k.W2, d),
        W3 = Advance(s.W3, decay, k.W3, d),
        W4 = Advance(s.W4, decay, k.W4, d),
        W5 = Advance(s.W5, decay, k.W5, d),
        W6 = Advance(s.W6, decay, k.W6, d),
        W7 = Advance(s.W7, decay, k.W7, d),
    };

    /// <summary>What is left after a way through memory.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static KeyWords Round<TWord, TState>(KeyWords s)
        where TWord : unmanaged
        where TState : struct, IDeltaStateFormat<TWord> => new()
    {
        W0 = Round<TWord, TState>(s.W0),
        W1 = Round<TWord, TState>(s.W1),
        W2 = Round<TWord, TState>(s.W2),
        W3 = Round<TWord, TState>(s.W3),
        W4 = Round<TWord, TState>(s.W4),
        W5 = Round<TWord, TState>(s.W5),
        W6 = Round<TWord, TState>(s.W6),
        W7 = Round<TWord, TState>(s.W7),
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Store<TWord, TState>(ArrayView<TWord> column, int first, int step)
        where TWord : unmanaged
        where TState : struct, IDeltaStateFormat<TWord>
    {
        column[first] = TState.Store(W0);
        column[first + step] = TState.Store(W1);
        column[first + (2 * step)] = TState.Store(W2);
        column[first + (3 * step)] = TState.Store(W3);
        column[first + (4 * step)] = TState.Store(W4);
        column[first + (5 * step)] = TState.Store(W5);
        column[first + (6 * step)] = TState.Store(W6);
        column[first + (7 * step)] = TState.Store(W7);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Fma(Float4 a, Float4 b, Float4 c) => new(
        Float32.Fma(a.X, b.X, c.X), Float32.Fma(a.Y, b.Y, c.Y), Float32.Fma(a.Z, b.Z, c.Z), Float32.Fma(a.W, b.W, c.W));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Advance(Float4 s, float decay, Float4 k, float d) => new(
        Float32.Fma(s.X, decay, k.X * d),
        Float32.Fma(s.Y, decay, k.Y * d),
        Float32.Fma(s.Z, decay, k.Z * d),
        Float32.Fma(s.W, decay, k.W * d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Float4 Round<TWord, TState>(Float4 value)
        where TWord : unmanaged
        where TState : struct, IDeltaStateFormat<TWord> => TState.Load(TState.Store(value));
}

/// <summary>The words that become a lane's keys, still as they are stored, so that nothing waits for them yet.</summary>
internal struct FetchedKeys<TWord>
    where TWord : unmanaged
{
    public TWord W0;
    public TWord W1;
    public TWord W2;
    public TWord W3;
    public TWord W4;
    public TWord W5;
    public TWord W6;
    public TWord W7;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FetchedKeys<TWord> Of(ArrayView<TWord> column, int first, int step) => new()
    {
        W0 = column[first],
        W1 = column[first + step],
        W2 = column[first + (2 * step)],
        W3 = column[first + (3 * step)],
        W4 = column[first + (4 * step)],
        W5 = column[first + (5 * step)],
        W6 = column[first + (6 * step)],
        W7 = column[first + (7 * step)],
    };
}
