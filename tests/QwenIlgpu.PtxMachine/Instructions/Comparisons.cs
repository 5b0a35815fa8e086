using System.Runtime.Intrinsics;

namespace QwenIlgpu.PtxMachine;

/// <summary><c>setp</c> and <c>selp</c>. PTX ISA, Comparison and Selection Instructions.</summary>
internal static class Comparisons
{
    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        AddIntegers<int>(known, "s32", SlotKind.Word);
        AddIntegers<uint>(known, "u32", SlotKind.Word);
        AddIntegers<long>(known, "s64", SlotKind.Double);
        AddIntegers<ulong>(known, "u64", SlotKind.Double);
        AddIntegers<uint>(known, "u16", SlotKind.Half);
        AddSignedHalves(known);
        foreach (string type in (string[])["b16", "b32", "b64"])
        {
            foreach (string comparison in (string[])["eq", "ne"])
                AddAlias(known, $"{comparison}", type, type.Replace('b', 'u'));
        }

        AddFloats<float>(known, "f32", SlotKind.Word);
        AddFloats<double>(known, "f64", SlotKind.Double);
        foreach (string type in (string[])["b32", "u32", "s32", "f32"])
            known[$"selp.{type}"] = r => new Select<uint>(r, SlotKind.Word);
        foreach (string type in (string[])["b64", "u64", "s64", "f64"])
            known[$"selp.{type}"] = r => new Select<ulong>(r, SlotKind.Double);
        foreach (string type in (string[])["b16", "u16", "s16"])
            known[$"selp.{type}"] = r => new Select<uint>(r, SlotKind.Half);
    }

    private static void AddIntegers<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
        where T : unmanaged
    {
        AddComparison<T, IsEqual<T>>(known, "eq", type, kind);
        AddComparison<T, IsNotEqual<T>>(known, "ne", type, kind);
        bool isUnsigned = type[0] == 'u';
        foreach ((string signed, string unsigned) in ((string, string)[])[("lt", "lo"), ("le", "ls"), ("gt", "hi"), ("ge", "hs")])
        {
            foreach (string name in isUnsigned ? (string[])[signed, unsigned] : [signed])
            {
                switch (signed)
                {
                    case "lt":
                        AddComparison<T, IsLess<T>>(known, name, type, kind);
                        break;
                    case "le":
                        AddComparison<T, IsLessOrEqual<T>>(known, name, type, kind);
                        break;
                    case "gt":
                        AddComparison<T, IsGreater<T>>(known, name, type, kind);
                        break;
                    default:
                        AddComparison<T, IsGreaterOrEqual<T>>(known, name, type, kind);
                        break;
                }
            }
        }
    }

    private static void AddSignedHalves(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        AddComparison<uint, OfSignedHalves<IsEqual<int>>>(known, "eq", "s16", SlotKind.Half);
        AddComparison<uint, OfSignedHalves<IsNotEqual<int>>>(known, "ne", "s16", SlotKind.Half);
        AddComparison<uint, OfSignedHalves<IsLess<int>>>(known, "lt", "s16", SlotKind.Half);
        AddComparison<uint, OfSignedHalves<IsLessOrEqual<int>>>(known, "le", "s16", SlotKind.Half);
        AddComparison<uint, OfSignedHalves<IsGreater<int>>>(known, "gt", "s16", SlotKind.Half);
        AddComparison<uint, OfSignedHalves<IsGreaterOrEqual<int>>>(known, "ge", "s16", SlotKind.Half);
    }

    private static void AddFloats<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
        where T : unmanaged
    {
        AddComparison<T, IsEqual<T>>(known, "eq", type, kind);
        AddComparison<T, Ordered<T, IsNotEqual<T>>>(known, "ne", type, kind);
        AddComparison<T, IsLess<T>>(known, "lt", type, kind);
        AddComparison<T, IsLessOrEqual<T>>(known, "le", type, kind);
        AddComparison<T, IsGreater<T>>(known, "gt", type, kind);
        AddComparison<T, IsGreaterOrEqual<T>>(known, "ge", type, kind);
        AddComparison<T, Unordered<T, IsEqual<T>>>(known, "equ", type, kind);
        AddComparison<T, IsNotEqual<T>>(known, "neu", type, kind);
        AddComparison<T, Unordered<T, IsLess<T>>>(known, "ltu", type, kind);
        AddComparison<T, Unordered<T, IsLessOrEqual<T>>>(known, "leu", type, kind);
        AddComparison<T, Unordered<T, IsGreater<T>>>(known, "gtu", type, kind);
        AddComparison<T, Unordered<T, IsGreaterOrEqual<T>>>(known, "geu", type, kind);
        AddComparison<T, AreNumbers<T>>(known, "num", type, kind);
        AddComparison<T, IsAnyNaN<T>>(known, "nan", type, kind);
    }

    private static void AddComparison<T, TOperation>(
        Dictionary<string, Func<OperandReader, Instruction>> known, string comparison, string type, SlotKind kind)
        where T : unmanaged
        where TOperation : IBinary<T>
    {
        known[$"setp.{comparison}.{type}"] = r => new Compare<T, TOperation>(r, kind, null);
        foreach (string with in (string[])["and", "or", "xor"])
            known[$"setp.{comparison}.{with}.{type}"] = r => new Compare<T, TOperation>(r, kind, with);
    }

    private static void AddAlias(Dictionary<string, Func<OperandReader, Instruction>> known, string comparison, string type, string same)
    {
        known[$"setp.{comparison}.{type}"] = known[$"setp.{comparison}.{same}"];
        foreach (string with in (string[])["and", "or", "xor"])
            known[$"setp.{comparison}.{with}.{type}"] = known[$"setp.{comparison}.{with}.{same}"];
    }
}

/// <summary><c>setp</c>: a predicate, or it and its opposite, each joined with a third one.</summary>
internal sealed unsafe class Compare<T, TOperation> : Instruction
    where T : unmanaged
    where TOperation : IBinary<T>
{
    private readonly Slot p;
    private readonly Slot? q;
    private readonly Slot a;
    private readonly Slot b;
    private readonly Slot? c;
    private readonly string? with;

    public Compare(OperandReader r, SlotKind kind, string? with)
    {
        this.with = with;
        Operand first = r[0];
        if (first is Operand.Pair(var result, var opposite))
        {
            first = result;
            q = r.Register(opposite, SlotKind.Predicate);
        }

        p = r.Register(first, SlotKind.Predicate);
        a = r.Source(1, kind);
        b = r.Source(2, kind);
        c = with is null ? null : r.Source(3, SlotKind.Predicate);
    }

    public override void Execute(Warp warp)
    {
        T* left = warp.Lane<T>(a);
        T* right = warp.Lane<T>(b);
        uint bits = 0;
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
            bits |= (uint)TOperation.Apply(Vector512.Load(left + i), Vector512.Load(right + i)).ExtractMostSignificantBits() << i;
        uint undefined = warp.Undefined(a) | warp.Undefined(b);
        uint third = 0;
        if (c is { } joined)
        {
            third = warp.Predicate(joined);
            undefined |= warp.Undefined(joined);
        }

        warp.SetPredicate(p, Join(bits, third));
        warp.SetUndefined(p, undefined);
        if (q is not { } other)
            return;
        warp.SetPredicate(other, Join(~bits, third));
        warp.SetUndefined(other, undefined);
    }

    private uint Join(uint bits, uint third) => with switch
    {
        "and" => bits & third,
        "or" => bits | third,
        "xor" => bits ^ third,
        _ => bits,
    };
}

/// <summary><c>selp</c>: a where the predicate is true, else b.</summary>
internal sealed unsafe class Select<T>(OperandReader r, SlotKind kind) : Instruction
    where T : unmanaged
{
    private readonly Slot d = r.Result(kind);
    private readonly Slot a = r.Source(1, kind);
    private readonly Slot b = r.Source(2, kind);
    private readonly Slot p = r.Source(3, SlotKind.Predicate);

    public override void Execute(Warp warp)
    {
        uint chosen = warp.Predicate(p);
        uint undefined = (warp.Undefined(a) & chosen) | (warp.Undefined(b) & ~chosen) | warp.Undefined(p);
        T* values = stackalloc T[Warp.Lanes];
        for (int i = 0; i < Warp.Lanes; i += Vector512<T>.Count)
            Vector512.Load(warp.Lane<T>(b) + i).Store(values + i);
        Registers.Store(values, warp.Lane<T>(a), chosen);
        Registers.Store(warp.Lane<T>(d), values, warp.Active);
        warp.SetUndefined(d, undefined);
    }
}

internal readonly struct IsEqual<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.Equals(a, b);
}

internal readonly struct IsNotEqual<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => ~Vector512.Equals(a, b);
}

internal readonly struct IsLess<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.LessThan(a, b);
}

internal readonly struct IsLessOrEqual<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.LessThanOrEqual(a, b);
}

internal readonly struct IsGreater<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.GreaterThan(a, b);
}

internal readonly struct IsGreaterOrEqual<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.GreaterThanOrEqual(a, b);
}

internal readonly struct AreNumbers<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.Equals(a, a) & Vector512.Equals(b, b);
}

internal readonly struct IsAnyNaN<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => ~AreNumbers<T>.Apply(a, b);
}

/// <summary>False with NaN.</summary>
internal readonly struct Ordered<T, TOperation> : IBinary<T>
    where TOperation : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => TOperation.Apply(a, b) & AreNumbers<T>.Apply(a, b);
}

/// <summary>True with NaN.</summary>
internal readonly struct Unordered<T, TOperation> : IBinary<T>
    where TOperation : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => TOperation.Apply(a, b) | IsAnyNaN<T>.Apply(a, b);
}

/// <summary>Bit 15 is a sign.</summary>
internal readonly struct OfSignedHalves<TOperation> : IBinary<uint>
    where TOperation : IBinary<int>
{
    public static Vector512<uint> Apply(Vector512<uint> a, Vector512<uint> b) =>
        TOperation.Apply(Vector512.ShiftLeft(a.AsInt32(), 16), Vector512.ShiftLeft(b.AsInt32(), 16)).AsUInt32();
}
