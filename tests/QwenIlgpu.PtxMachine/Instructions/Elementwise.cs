using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine;

/// <summary>What an instruction computes of one operand, for as many lanes as a vector holds.</summary>
internal interface IUnary<T>
{
    static abstract Vector512<T> Apply(Vector512<T> a);
}

/// <summary>The same of two.</summary>
internal interface IBinary<T>
{
    static abstract Vector512<T> Apply(Vector512<T> a, Vector512<T> b);
}

/// <summary>The same of three.</summary>
internal interface ITernary<T>
{
    static abstract Vector512<T> Apply(Vector512<T> a, Vector512<T> b, Vector512<T> c);
}

/// <summary>d = f(a), lane by lane.</summary>
internal sealed unsafe class Unary<T, TOperation>(Slot d, Slot a) : Instruction
    where T : unmanaged
    where TOperation : IUnary<T>
{
    public override void Execute(Warp warp)
    {
        T* from = warp.Lane<T>(a);
        T* to = warp.Lane<T>(d);
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
            Registers.Store(to, i, TOperation.Apply(Vector512.Load(from + i)), warp.Active);
        warp.SetUndefined(d, warp.Undefined(a));
    }
}

/// <summary>d = f(a, b), lane by lane.</summary>
internal sealed unsafe class Binary<T, TOperation>(Slot d, Slot a, Slot b) : Instruction
    where T : unmanaged
    where TOperation : IBinary<T>
{
    public override void Execute(Warp warp)
    {
        T* left = warp.Lane<T>(a);
        T* right = warp.Lane<T>(b);
        T* to = warp.Lane<T>(d);
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
            Registers.Store(to, i, TOperation.Apply(Vector512.Load(left + i), Vector512.Load(right + i)), warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b));
    }
}

/// <summary>d = f(a, b, c), lane by lane.</summary>
internal sealed unsafe class Ternary<T, TOperation>(Slot d, Slot a, Slot b, Slot c) : Instruction
    where T : unmanaged
    where TOperation : ITernary<T>
{
    public override void Execute(Warp warp)
    {
        T* first = warp.Lane<T>(a);
        T* second = warp.Lane<T>(b);
        T* third = warp.Lane<T>(c);
        T* to = warp.Lane<T>(d);
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
        {
            Registers.Store(
                to, i, TOperation.Apply(Vector512.Load(first + i), Vector512.Load(second + i), Vector512.Load(third + i)), warp.Active);
        }

        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

/// <summary>d = f(a), one lane after the other: for what has no vector form, or changes the width.</summary>
internal sealed unsafe class UnaryByLane<TIn, TOut>(Slot d, Slot a, delegate*<TIn, TOut> f) : Instruction
    where TIn : unmanaged
    where TOut : unmanaged
{
    public override void Execute(Warp warp)
    {
        TIn* from = warp.Lane<TIn>(a);
        TOut* values = stackalloc TOut[Warp.Lanes];
        for (int i = 0; i < Warp.Lanes; i++)
            values[i] = f(from[i]);
        Registers.Store(warp.Lane<TOut>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a));
    }
}

/// <summary>d = f(a, b, c), one lane after the other; what takes two operands ignores the third.</summary>
internal sealed unsafe class ByLane<T>(Slot d, Slot a, Slot b, Slot c, delegate*<T, T, T, T> f) : Instruction
    where T : unmanaged
{
    public override void Execute(Warp warp)
    {
        T* first = warp.Lane<T>(a);
        T* second = warp.Lane<T>(b);
        T* third = warp.Lane<T>(c);
        T* values = stackalloc T[Warp.Lanes];
        for (int i = 0; i < Warp.Lanes; i++)
            values[i] = f(first[i], second[i], third[i]);
        Registers.Store(warp.Lane<T>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

/// <summary>d = f(a) by a function over all lanes.</summary>
internal sealed unsafe class SpanUnary<TIn, TOut>(Slot d, Slot a, delegate*<ReadOnlySpan<TIn>, Span<TOut>, void> f) : Instruction
    where TIn : unmanaged
    where TOut : unmanaged
{
    public override void Execute(Warp warp)
    {
        TOut* values = stackalloc TOut[Warp.Lanes];
        f(warp.Span<TIn>(a), new Span<TOut>(values, Warp.Lanes));
        Registers.Store(warp.Lane<TOut>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a));
    }
}

/// <summary>The same of two operands.</summary>
internal sealed unsafe class SpanBinary<TIn, TOut>(
    Slot d, Slot a, Slot b, delegate*<ReadOnlySpan<TIn>, ReadOnlySpan<TIn>, Span<TOut>, void> f) : Instruction
    where TIn : unmanaged
    where TOut : unmanaged
{
    public override void Execute(Warp warp)
    {
        TOut* values = stackalloc TOut[Warp.Lanes];
        f(warp.Span<TIn>(a), warp.Span<TIn>(b), new Span<TOut>(values, Warp.Lanes));
        Registers.Store(warp.Lane<TOut>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b));
    }
}

/// <summary>The same of three words.</summary>
internal sealed unsafe class SpanTernary(
    Slot d, Slot a, Slot b, Slot c, delegate*<ReadOnlySpan<uint>, ReadOnlySpan<uint>, ReadOnlySpan<uint>, Span<uint>, void> f) : Instruction
{
    public override void Execute(Warp warp)
    {
        uint* values = stackalloc uint[Warp.Lanes];
        f(warp.Span<uint>(a), warp.Span<uint>(b), warp.Span<uint>(c), new Span<uint>(values, Warp.Lanes));
        Registers.Store(warp.Lane<uint>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

/// <summary>A function that hardware has in its special units; with <c>.ftz</c> subnormals are zeros.</summary>
internal sealed unsafe class Approximation(Slot d, Slot a, delegate*<ReadOnlySpan<float>, Span<float>, bool, void> f, bool isFlushed) : Instruction
{
    public override void Execute(Warp warp)
    {
        float* values = stackalloc float[Warp.Lanes];
        f(warp.Span<float>(a), new Span<float>(values, Warp.Lanes), isFlushed);
        Registers.Store(warp.Lane<float>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a));
    }
}
