using System.Numerics;
using System.Runtime.Intrinsics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary><c>cvt</c> and <c>cvta</c>. PTX ISA, Data Movement and Conversion Instructions.</summary>
internal static unsafe class Conversions
{
    private static readonly (string Type, int Bits, bool IsSigned)[] Integers =
    [
        ("s8", 8, true), ("u8", 8, false), ("s16", 16, true), ("u16", 16, false),
        ("s32", 32, true), ("u32", 32, false), ("s64", 64, true), ("u64", 64, false),
    ];

    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach ((string to, int toBits, bool toSigned) in Integers)
        {
            foreach ((string from, int fromBits, bool fromSigned) in Integers)
                known[$"cvt.{to}.{from}"] = r => new ConvertInteger(r, toBits, toSigned, fromBits, fromSigned);
        }

        AddToFloats(known);
        AddToIntegers<float>(known, "f32", SlotKind.Word);
        AddToIntegers<double>(known, "f64", SlotKind.Double);
        AddRoundings<float>(known, "f32", SlotKind.Word);
        AddRoundings<double>(known, "f64", SlotKind.Double);
        AddHalves(known);
        foreach (string space in (string[])["global", "shared"])
        {
            foreach (string to in (string[])["", "to."])
            {
                // Generic addresses of global memory are global ones; shared ones are told apart by nothing, so nothing may go through them.
                known[$"cvta.{to}{space}.u64"] = r => space == "global"
                    ? new Unary<ulong, Same<ulong>>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Double))
                    : throw new PtxException(r.Statement.Line, "a generic address of shared memory: address it as shared");
            }
        }
    }

    private static void AddToFloats(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        known["cvt.rn.f32.s32"] = r => new UnaryByLane<int, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &Convert<int, float>);
        known["cvt.rn.f32.u32"] = r => new UnaryByLane<uint, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &Convert<uint, float>);
        known["cvt.rn.f32.s64"] = r => new UnaryByLane<long, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Double), &Convert<long, float>);
        known["cvt.rn.f32.u64"] = r => new UnaryByLane<ulong, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Double), &Convert<ulong, float>);
        known["cvt.rn.f64.s32"] = r => new UnaryByLane<int, double>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Word), &Convert<int, double>);
        known["cvt.rn.f64.u32"] = r => new UnaryByLane<uint, double>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Word), &Convert<uint, double>);
        known["cvt.rn.f64.s64"] = r => new UnaryByLane<long, double>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Double), &Convert<long, double>);
        known["cvt.rn.f64.u64"] = r => new UnaryByLane<ulong, double>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Double), &Convert<ulong, double>);
        known["cvt.f64.f32"] = r => new UnaryByLane<float, double>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Word), &Widen);
        known["cvt.rn.f32.f64"] = r => new UnaryByLane<double, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Double), &Narrow);
        known["cvt.rn.f32.s16"] = r => new UnaryByLane<int, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Half), &OfS16);
        known["cvt.rn.f32.u16"] = r => new UnaryByLane<uint, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Half), &Convert<uint, float>);
    }

    // Beyond the range the nearest end of it.
    private static void AddToIntegers<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string from, SlotKind kind)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        known[$"cvt.rzi.s32.{from}"] = r => new UnaryByLane<T, int>(r.Result(SlotKind.Word), r.Source(1, kind), &TowardZero<T, int>);
        known[$"cvt.rzi.u32.{from}"] = r => new UnaryByLane<T, uint>(r.Result(SlotKind.Word), r.Source(1, kind), &TowardZero<T, uint>);
        known[$"cvt.rzi.s64.{from}"] = r => new UnaryByLane<T, long>(r.Result(SlotKind.Double), r.Source(1, kind), &TowardZero<T, long>);
        known[$"cvt.rzi.u64.{from}"] = r => new UnaryByLane<T, ulong>(r.Result(SlotKind.Double), r.Source(1, kind), &TowardZero<T, ulong>);
        known[$"cvt.rni.s32.{from}"] = r => new UnaryByLane<T, int>(r.Result(SlotKind.Word), r.Source(1, kind), &ToNearest<T, int>);
        known[$"cvt.rni.u32.{from}"] = r => new UnaryByLane<T, uint>(r.Result(SlotKind.Word), r.Source(1, kind), &ToNearest<T, uint>);
        known[$"cvt.rmi.s32.{from}"] = r => new UnaryByLane<T, int>(r.Result(SlotKind.Word), r.Source(1, kind), &Down<T, int>);
        known[$"cvt.rpi.s32.{from}"] = r => new UnaryByLane<T, int>(r.Result(SlotKind.Word), r.Source(1, kind), &Up<T, int>);
    }

    private static void AddRoundings<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        known[$"cvt.rni.{type}.{type}"] = r => new UnaryByLane<T, T>(r.Result(kind), r.Source(1, kind), &RoundEven);
        known[$"cvt.rzi.{type}.{type}"] = r => new UnaryByLane<T, T>(r.Result(kind), r.Source(1, kind), &T.Truncate);
        known[$"cvt.rmi.{type}.{type}"] = r => new UnaryByLane<T, T>(r.Result(kind), r.Source(1, kind), &T.Floor);
        known[$"cvt.rpi.{type}.{type}"] = r => new UnaryByLane<T, T>(r.Result(kind), r.Source(1, kind), &T.Ceiling);
    }

    private static void AddHalves(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        known["cvt.f32.f16"] = r => new SpanUnary<uint, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Half), &HalfConversions.F16ToF32);
        known["cvt.f32.bf16"] = r => new SpanUnary<uint, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Half), &HalfConversions.Bf16ToF32);
        known["cvt.rn.f16.f32"] = r => new SpanUnary<float, uint>(r.Result(SlotKind.Half), r.Source(1, SlotKind.Word), &HalfConversions.F32ToF16);
        known["cvt.rn.bf16.f32"] = r => new SpanUnary<float, uint>(r.Result(SlotKind.Half), r.Source(1, SlotKind.Word), &HalfConversions.F32ToBf16);
        known["cvt.rna.tf32.f32"] = r => new SpanUnary<float, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &HalfConversions.F32ToTf32);
        known["cvt.rn.f16x2.f32"] = r => Packed(r, &HalfConversions.PackF16);
        known["cvt.rn.bf16x2.f32"] = r => Packed(r, &HalfConversions.PackBf16);
    }

    private static SpanBinary<float, uint> Packed(OperandReader r, delegate*<ReadOnlySpan<float>, ReadOnlySpan<float>, Span<uint>, void> f) =>
        new(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), f);

    private static TOut Convert<TIn, TOut>(TIn value)
        where TIn : INumberBase<TIn>
        where TOut : INumberBase<TOut> => TOut.CreateTruncating(value);

    private static float OfS16(int value) => (short)value;

    private static double Widen(float value) => float.IsNaN(value) ? BitConverter.UInt64BitsToDouble(CanonicalNaN.Double) : value;

    private static float Narrow(double value) => double.IsNaN(value) ? BitConverter.UInt32BitsToSingle(CanonicalNaN.Single) : (float)value;

    private static TOut TowardZero<TIn, TOut>(TIn value)
        where TIn : IBinaryFloatingPointIeee754<TIn>
        where TOut : IBinaryInteger<TOut> => TIn.IsNaN(value) ? NotANumber<TIn, TOut>() : TOut.CreateSaturating(TIn.Truncate(value));

    private static TOut ToNearest<TIn, TOut>(TIn value)
        where TIn : IBinaryFloatingPointIeee754<TIn>
        where TOut : IBinaryInteger<TOut> => TIn.IsNaN(value) ? NotANumber<TIn, TOut>() : TOut.CreateSaturating(TIn.Round(value, MidpointRounding.ToEven));

    // NaN is 0, but where a side has 64 bits the highest bit alone.
    private static TOut NotANumber<TIn, TOut>()
        where TOut : IBinaryInteger<TOut>
    {
        int bits = System.Runtime.CompilerServices.Unsafe.SizeOf<TOut>() * 8;
        return typeof(TIn) == typeof(double) || bits == 64 ? TOut.One << (bits - 1) : TOut.Zero;
    }

    private static TOut Down<TIn, TOut>(TIn value)
        where TIn : IBinaryFloatingPointIeee754<TIn>
        where TOut : IBinaryInteger<TOut> => TIn.IsNaN(value) ? NotANumber<TIn, TOut>() : TOut.CreateSaturating(TIn.Floor(value));

    private static TOut Up<TIn, TOut>(TIn value)
        where TIn : IBinaryFloatingPointIeee754<TIn>
        where TOut : IBinaryInteger<TOut> => TIn.IsNaN(value) ? NotANumber<TIn, TOut>() : TOut.CreateSaturating(TIn.Ceiling(value));

    private static T RoundEven<T>(T value)
        where T : IBinaryFloatingPointIeee754<T> => T.Round(value, MidpointRounding.ToEven);
}

internal readonly struct Same<T> : IUnary<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => a;
}

/// <summary>
/// <c>cvt</c> between integers: the lower bits, extended by the source's sign, and by the result's to its register's width. Registers may be
/// wider than the types.
/// </summary>
internal sealed unsafe class ConvertInteger : Instruction
{
    private readonly Slot d;
    private readonly Slot a;
    private readonly int toBits;
    private readonly bool toSigned;
    private readonly int fromBits;
    private readonly bool fromSigned;

    public ConvertInteger(OperandReader r, int toBits, bool toSigned, int fromBits, bool fromSigned)
    {
        (this.toBits, this.toSigned, this.fromBits, this.fromSigned) = (toBits, toSigned, fromBits, fromSigned);
        d = r[0] is Operand.Register(var result) && WidthOf(result) >= toBits
            ? result
            : throw new PtxException(r.Statement.Line, $"the result of {r.Statement.Opcode} goes to a register of {toBits} bits or more");
        a = r[1] is Operand.Register(var source) && WidthOf(source) >= fromBits ? source : r.Source(1, fromBits == 64 ? SlotKind.Double : SlotKind.Word);
    }

    public override void Execute(Warp warp)
    {
        if (a.Kind == SlotKind.Word && fromBits == 32 && d.Kind == SlotKind.Double && toBits == 64)
            Widen(warp);
        else if (a.Kind == SlotKind.Double && d.Kind == SlotKind.Word && toBits == 32)
            Narrow(warp);
        else
            ByLane(warp);
        warp.SetUndefined(d, warp.Undefined(a));
    }

    private static int WidthOf(Slot slot) => slot.Kind switch { SlotKind.Half => 16, SlotKind.Word => 32, SlotKind.Double => 64, _ => 0 };

    private void Widen(Warp warp)
    {
        ulong* to = warp.Lane<ulong>(d);
        for (int i = 0; i < Warp.Lanes; i += Vector512<uint>.Count)
        {
            Vector512<uint> words = Vector512.Load(warp.Lane<uint>(a) + i);
            Vector512<ulong> low = fromSigned ? Vector512.WidenLower(words.AsInt32()).AsUInt64() : Vector512.WidenLower(words);
            Vector512<ulong> high = fromSigned ? Vector512.WidenUpper(words.AsInt32()).AsUInt64() : Vector512.WidenUpper(words);
            Registers.Store(to, i, low, warp.Active);
            Registers.Store(to, i + Vector512<ulong>.Count, high, warp.Active);
        }
    }

    private void Narrow(Warp warp)
    {
        ulong* from = warp.Lane<ulong>(a);
        for (int i = 0; i < Warp.Lanes; i += Vector512<uint>.Count)
        {
            Vector512<uint> words = Vector512.Narrow(Vector512.Load(from + i), Vector512.Load(from + i + Vector512<ulong>.Count));
            Registers.Store(warp.Lane<uint>(d), i, words, warp.Active);
        }
    }

    private void ByLane(Warp warp)
    {
        ulong* values = stackalloc ulong[Warp.Lanes];
        for (int lane = 0; lane < Warp.Lanes; lane++)
        {
            ulong value = a.Kind == SlotKind.Double ? warp.Lane<ulong>(a)[lane] : warp.Lane<uint>(a)[lane];
            values[lane] = Extended(Extended(value, fromBits, fromSigned), toBits, toSigned);
        }

        if (d.Kind == SlotKind.Double)
        {
            Registers.Store(warp.Lane<ulong>(d), values, warp.Active);
            return;
        }

        uint* words = stackalloc uint[Warp.Lanes];
        for (int lane = 0; lane < Warp.Lanes; lane++)
            words[lane] = d.Kind == SlotKind.Half ? (ushort)values[lane] : (uint)values[lane];
        Registers.Store(warp.Lane<uint>(d), words, warp.Active);
    }

    private static ulong Extended(ulong value, int bits, bool isSigned)
    {
        int unused = 64 - bits;
        return isSigned ? (ulong)((long)(value << unused) >> unused) : value << unused >> unused;
    }
}
