using System.Runtime.Intrinsics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

internal readonly struct Add<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a + b;
}

internal readonly struct Subtract<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a - b;
}

internal readonly struct Multiply<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a * b;
}

internal readonly struct MultiplyAdd<T> : ITernary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b, Vector512<T> c) => (a * b) + c;
}

internal readonly struct And<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a & b;
}

internal readonly struct Or<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a | b;
}

internal readonly struct Xor<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a ^ b;
}

internal readonly struct Not<T> : IUnary<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => ~a;
}

internal readonly struct Negate<T> : IUnary<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => -a;
}

internal readonly struct Absolute<T> : IUnary<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => Vector512.Abs(a);
}

internal readonly struct Min<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.Min(a, b);
}

internal readonly struct Max<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.Max(a, b);
}

/// <summary>The lower 16 bits of a result.</summary>
internal readonly struct Half<TOperation> : IUnary<uint>
    where TOperation : IUnary<uint>
{
    public static Vector512<uint> Apply(Vector512<uint> a) => TOperation.Apply(a) & Vector512.Create((uint)ushort.MaxValue);
}

/// <summary>The same of two operands.</summary>
internal readonly struct HalfOf<TOperation> : IBinary<uint>
    where TOperation : IBinary<uint>
{
    public static Vector512<uint> Apply(Vector512<uint> a, Vector512<uint> b) => TOperation.Apply(a, b) & Vector512.Create((uint)ushort.MaxValue);
}

/// <summary>The same of two whose bit 15 is a sign.</summary>
internal readonly struct SignedHalfOf<TOperation> : IBinary<uint>
    where TOperation : IBinary<int>
{
    public static Vector512<uint> Apply(Vector512<uint> a, Vector512<uint> b) =>
        TOperation.Apply(Extended(a), Extended(b)).AsUInt32() & Vector512.Create((uint)ushort.MaxValue);

    private static Vector512<int> Extended(Vector512<uint> a) => Vector512.ShiftRightArithmetic(Vector512.ShiftLeft(a.AsInt32(), 16), 16);
}

/// <summary><c>mul.wide</c>: the whole product.</summary>
internal sealed unsafe class MultiplyWide(Slot d, Slot a, Slot b, bool isSigned) : Instruction
{
    public override void Execute(Warp warp)
    {
        ulong* to = warp.Lane<ulong>(d);
        for (int i = 0; i < Warp.Lanes; i += Vector512<uint>.Count)
        {
            (Vector512<ulong> low, Vector512<ulong> high) = Product(warp, i, a, b, isSigned);
            Registers.Store(to, i, low, warp.Active);
            Registers.Store(to, i + Vector512<ulong>.Count, high, warp.Active);
        }

        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b));
    }

    public static (Vector512<ulong> Low, Vector512<ulong> High) Product(Warp warp, int lane, Slot a, Slot b, bool isSigned)
    {
        if (isSigned)
        {
            (Vector512<long> lowA, Vector512<long> highA) = Vector512.Widen(Vector512.Load(warp.Lane<int>(a) + lane));
            (Vector512<long> lowB, Vector512<long> highB) = Vector512.Widen(Vector512.Load(warp.Lane<int>(b) + lane));
            return ((lowA * lowB).AsUInt64(), (highA * highB).AsUInt64());
        }

        (Vector512<ulong> low, Vector512<ulong> high) = Vector512.Widen(Vector512.Load(warp.Lane<uint>(a) + lane));
        (Vector512<ulong> otherLow, Vector512<ulong> otherHigh) = Vector512.Widen(Vector512.Load(warp.Lane<uint>(b) + lane));
        return (low * otherLow, high * otherHigh);
    }
}

/// <summary><c>mad.wide</c></summary>
internal sealed unsafe class MultiplyAddWide(OperandReader r, bool isSigned) : Instruction
{
    private readonly Slot d = r.Result(SlotKind.Double);
    private readonly Slot a = r.Source(1, SlotKind.Word);
    private readonly Slot b = r.Source(2, SlotKind.Word);
    private readonly Slot c = r.Source(3, SlotKind.Double);

    public override void Execute(Warp warp)
    {
        ulong* to = warp.Lane<ulong>(d);
        ulong* plus = warp.Lane<ulong>(c);
        for (int i = 0; i < Warp.Lanes; i += Vector512<uint>.Count)
        {
            int next = i + Vector512<ulong>.Count;
            (Vector512<ulong> low, Vector512<ulong> high) = MultiplyWide.Product(warp, i, a, b, isSigned);
            Vector512<ulong> upper = high + Vector512.Load(plus + next);
            Registers.Store(to, i, low + Vector512.Load(plus + i), warp.Active);
            Registers.Store(to, next, upper, warp.Active);
        }

        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

/// <summary><c>lop3</c>: any function of three bits, bit abc of the table.</summary>
internal sealed unsafe class Lop3(OperandReader r) : Instruction
{
    private readonly Slot d = r.Result(SlotKind.Word);
    private readonly Slot a = r.Source(1, SlotKind.Word);
    private readonly Slot b = r.Source(2, SlotKind.Word);
    private readonly Slot c = r.Source(3, SlotKind.Word);
    private readonly byte table = (byte)r.Number(4);

    public override void Execute(Warp warp)
    {
        uint* values = stackalloc uint[Warp.Lanes];
        Selections.Lop3(warp.Span<uint>(a), warp.Span<uint>(b), warp.Span<uint>(c), table, new Span<uint>(values, Warp.Lanes));
        Registers.Store(warp.Lane<uint>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

/// <summary><c>prmt</c>: bytes of two words, chosen by the digits of a third.</summary>
internal sealed unsafe class BytePermute(OperandReader r, PermuteMode mode) : Instruction
{
    private readonly Slot d = r.Result(SlotKind.Word);
    private readonly Slot a = r.Source(1, SlotKind.Word);
    private readonly Slot b = r.Source(2, SlotKind.Word);
    private readonly Slot c = r.Source(3, SlotKind.Word);

    public override void Execute(Warp warp)
    {
        uint* values = stackalloc uint[Warp.Lanes];
        Selections.Permute(warp.Span<uint>(a), warp.Span<uint>(b), warp.Span<uint>(c), mode, new Span<uint>(values, Warp.Lanes));
        Registers.Store(warp.Lane<uint>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(b) | warp.Undefined(c));
    }
}

internal enum ShiftMode
{
    Left,
    Right,
    RightArithmetic,
}

/// <summary><c>shl</c> and <c>shr</c>: a count beyond the width shifts everything out, where C# would take it modulo.</summary>
internal sealed unsafe class Shift(OperandReader r, SlotKind kind, ShiftMode mode) : Instruction
{
    private readonly Slot d = r.Result(kind);
    private readonly Slot a = r.Source(1, kind);
    private readonly Slot count = r.Source(2, SlotKind.Word);
    private readonly int? constant = r[2] is Operand.Immediate(var bits, _, _) ? (int)Math.Min(bits, 64) : null;

    public override void Execute(Warp warp)
    {
        if (kind == SlotKind.Word && constant is { } fixedCount and < 32)
        {
            for (int i = 0; i < Warp.Lanes; i += Vector512<uint>.Count)
            {
                Vector512<uint> value = Vector512.Load(warp.Lane<uint>(a) + i);
                Registers.Store(warp.Lane<uint>(d), i, mode switch
                {
                    ShiftMode.Left => Vector512.ShiftLeft(value, fixedCount),
                    ShiftMode.Right => Vector512.ShiftRightLogical(value, fixedCount),
                    _ => Vector512.ShiftRightArithmetic(value.AsInt32(), fixedCount).AsUInt32(),
                }, warp.Active);
            }
        }
        else
        {
            ByLane(warp);
        }

        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(count));
    }

    private void ByLane(Warp warp)
    {
        uint* counts = warp.Lane<uint>(count);
        if (kind == SlotKind.Double)
        {
            ulong* doubles = stackalloc ulong[Warp.Lanes];
            for (int i = 0; i < Warp.Lanes; i++)
                doubles[i] = Shifted((long)warp.Lane<ulong>(a)[i], warp.Lane<ulong>(a)[i], 64, counts[i]);
            Registers.Store(warp.Lane<ulong>(d), doubles, warp.Active);
            return;
        }

        uint* words = stackalloc uint[Warp.Lanes];
        int width = kind == SlotKind.Half ? 16 : 32;
        uint kept = kind == SlotKind.Half ? ushort.MaxValue : uint.MaxValue;
        for (int i = 0; i < Warp.Lanes; i++)
        {
            uint value = warp.Lane<uint>(a)[i] & kept;
            words[i] = kept & (uint)Shifted(kind == SlotKind.Half ? (short)value : (int)value, value, width, counts[i]);
        }

        Registers.Store(warp.Lane<uint>(d), words, warp.Active);
    }

    private ulong Shifted(long signed, ulong value, int width, uint by)
    {
        int clamped = (int)Math.Min(by, (uint)width);
        return mode switch
        {
            ShiftMode.Left => clamped == 64 ? 0 : value << clamped,
            ShiftMode.Right => clamped == 64 ? 0 : value >> clamped,
            _ => (ulong)(signed >> Math.Min(clamped, 63)),
        };
    }
}
