using System.Numerics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary>Integers and bits. PTX ISA, Integer Arithmetic Instructions; Logic and Shift Instructions.</summary>
internal static unsafe class IntegerInstructions
{
    private static readonly (string Type, SlotKind Kind)[] Types =
    [
        ("s32", SlotKind.Word), ("u32", SlotKind.Word), ("b32", SlotKind.Word),
        ("s64", SlotKind.Double), ("u64", SlotKind.Double), ("b64", SlotKind.Double),
        ("s16", SlotKind.Half), ("u16", SlotKind.Half), ("b16", SlotKind.Half),
    ];

    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        foreach ((string type, SlotKind kind) in Types)
        {
            AddBits(known, type, kind);
            if (type[0] != 'b')
                AddNumbers(known, type, kind);
        }

        known["mul.wide.u32"] = r => new MultiplyWide(r.Result(SlotKind.Double), r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), false);
        known["mul.wide.s32"] = r => new MultiplyWide(r.Result(SlotKind.Double), r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), true);
        known["mul.wide.u16"] = r => ByLane(r, SlotKind.Half, SlotKind.Word, &MultiplyWideU16);
        known["mul.wide.s16"] = r => ByLane(r, SlotKind.Half, SlotKind.Word, &MultiplyWideS16);
        known["mul.hi.u32"] = r => ByLane<uint>(r, SlotKind.Word, &MultiplyHigh);
        known["mul.hi.s32"] = r => ByLane<int>(r, SlotKind.Word, &MultiplyHigh);
        known["mul.hi.u64"] = r => ByLane<ulong>(r, SlotKind.Double, &MultiplyHigh);
        known["mul.hi.s64"] = r => ByLane<long>(r, SlotKind.Double, &MultiplyHigh);
        known["mad.wide.u32"] = r => new MultiplyAddWide(r, false);
        known["mad.wide.s32"] = r => new MultiplyAddWide(r, true);
        known["popc.b32"] = r => new UnaryByLane<uint, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &PopulationCount);
        known["popc.b64"] = r => new UnaryByLane<ulong, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Double), &PopulationCount);
        known["clz.b32"] = r => new UnaryByLane<uint, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &LeadingZeros);
        known["clz.b64"] = r => new UnaryByLane<ulong, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Double), &LeadingZeros);
        known["brev.b32"] = r => new UnaryByLane<uint, uint>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &Reverse);
        known["brev.b64"] = r => new UnaryByLane<ulong, ulong>(r.Result(SlotKind.Double), r.Source(1, SlotKind.Double), &Reverse);
        known["bfe.u32"] = r => ByLane3<uint>(r, SlotKind.Word, &ExtractField);
        known["bfe.s32"] = r => ByLane3<int>(r, SlotKind.Word, &ExtractField);
        known["bfe.u64"] = r => new ExtractWide(
            r.Result(SlotKind.Double), r.Source(1, SlotKind.Double), r.Source(2, SlotKind.Word), r.Source(3, SlotKind.Word));
        known["shf.l.wrap.b32"] = r => ByLane3<uint>(r, SlotKind.Word, &FunnelLeftWrap);
        known["shf.r.wrap.b32"] = r => ByLane3<uint>(r, SlotKind.Word, &FunnelRightWrap);
        known["lop3.b32"] = r => new Lop3(r);
        known["prmt.b32"] = r => new BytePermute(r, PermuteMode.Default);
    }

    private static void AddBits(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
    {
        bool isDouble = kind == SlotKind.Double;
        bool isHalf = kind == SlotKind.Half;
        known[$"and.{type}"] = isDouble ? Binary<ulong, And<ulong>>(kind) : Binary<uint, And<uint>>(kind);
        known[$"or.{type}"] = isDouble ? Binary<ulong, Or<ulong>>(kind) : Binary<uint, Or<uint>>(kind);
        known[$"xor.{type}"] = isDouble ? Binary<ulong, Xor<ulong>>(kind) : Binary<uint, Xor<uint>>(kind);
        known[$"not.{type}"] = isDouble ? Unary<ulong, Not<ulong>>(kind) : isHalf ? Unary<uint, Half<Not<uint>>>(kind) : Unary<uint, Not<uint>>(kind);
        known[$"shl.{type}"] = r => new Shift(r, kind, ShiftMode.Left);
        known[$"shr.{type}"] = r => new Shift(r, kind, type[0] == 's' ? ShiftMode.RightArithmetic : ShiftMode.Right);
    }

    private static void AddNumbers(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
    {
        bool isSigned = type[0] == 's';
        switch (kind)
        {
            case SlotKind.Word when isSigned:
                AddNumbers<int>(known, type, kind);
                break;
            case SlotKind.Word:
                AddNumbers<uint>(known, type, kind);
                break;
            case SlotKind.Double when isSigned:
                AddNumbers<long>(known, type, kind);
                break;
            case SlotKind.Double:
                AddNumbers<ulong>(known, type, kind);
                break;
            default:
                AddHalves(known, type, isSigned);
                break;
        }
    }

    private static void AddNumbers<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
        where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        known[$"add.{type}"] = Binary<T, Add<T>>(kind);
        known[$"sub.{type}"] = Binary<T, Subtract<T>>(kind);
        known[$"mul.lo.{type}"] = Binary<T, Multiply<T>>(kind);
        known[$"mad.lo.{type}"] = r => new Ternary<T, MultiplyAdd<T>>(r.Result(kind), r.Source(1, kind), r.Source(2, kind), r.Source(3, kind));
        known[$"min.{type}"] = Binary<T, Min<T>>(kind);
        known[$"max.{type}"] = Binary<T, Max<T>>(kind);
        known[$"neg.{type}"] = Unary<T, Negate<T>>(kind);
        known[$"abs.{type}"] = Unary<T, Absolute<T>>(kind);
        known[$"div.{type}"] = r => ByLane<T>(r, kind, &Divide);
        known[$"rem.{type}"] = r => ByLane<T>(r, kind, &Remainder);
    }

    private static void AddHalves(Dictionary<string, Func<OperandReader, Instruction>> known, string type, bool isSigned)
    {
        const SlotKind Kind = SlotKind.Half;
        known[$"add.{type}"] = Binary<uint, HalfOf<Add<uint>>>(Kind);
        known[$"sub.{type}"] = Binary<uint, HalfOf<Subtract<uint>>>(Kind);
        known[$"mul.lo.{type}"] = Binary<uint, HalfOf<Multiply<uint>>>(Kind);
        known[$"min.{type}"] = isSigned ? Binary<uint, SignedHalfOf<Min<int>>>(Kind) : Binary<uint, Min<uint>>(Kind);
        known[$"max.{type}"] = isSigned ? Binary<uint, SignedHalfOf<Max<int>>>(Kind) : Binary<uint, Max<uint>>(Kind);
    }

    private static Func<OperandReader, Instruction> Unary<T, TOperation>(SlotKind kind)
        where T : unmanaged
        where TOperation : IUnary<T> => r => new Unary<T, TOperation>(r.Result(kind), r.Source(1, kind));

    private static Func<OperandReader, Instruction> Binary<T, TOperation>(SlotKind kind)
        where T : unmanaged
        where TOperation : IBinary<T> => r => new Binary<T, TOperation>(r.Result(kind), r.Source(1, kind), r.Source(2, kind));

    private static ByLane<T> ByLane<T>(OperandReader r, SlotKind kind, delegate*<T, T, T, T> f)
        where T : unmanaged => new(r.Result(kind), r.Source(1, kind), r.Source(2, kind), r.Source(2, kind), f);

    private static ByLane<uint> ByLane(OperandReader r, SlotKind from, SlotKind to, delegate*<uint, uint, uint, uint> f) =>
        new(r.Result(to), r.Source(1, from), r.Source(2, from), r.Source(2, from), f);

    private static ByLane<T> ByLane3<T>(OperandReader r, SlotKind kind, delegate*<T, T, T, T> f)
        where T : unmanaged => new(r.Result(kind), r.Source(1, kind), r.Source(2, kind), r.Source(3, kind), f);

    // Division by zero gives all ones, as hardware does; PTX leaves it open.
    private static T Divide<T>(T a, T b, T unused)
        where T : IBinaryInteger<T>, IMinMaxValue<T> => T.IsZero(b) ? ~T.Zero : b == ~T.Zero && T.IsNegative(b) ? T.Zero - a : a / b;

    private static T Remainder<T>(T a, T b, T unused)
        where T : IBinaryInteger<T>, IMinMaxValue<T> => T.IsZero(b) ? a : b == ~T.Zero && T.IsNegative(b) ? T.Zero : a % b;

    private static uint MultiplyWideU16(uint a, uint b, uint unused) => (a & 0xffff) * (b & 0xffff);

    private static uint MultiplyWideS16(uint a, uint b, uint unused) => (uint)((short)a * (short)b);

    private static uint MultiplyHigh(uint a, uint b, uint unused) => (uint)(((ulong)a * b) >> 32);

    private static int MultiplyHigh(int a, int b, int unused) => (int)(((long)a * b) >> 32);

    private static ulong MultiplyHigh(ulong a, ulong b, ulong unused) => Math.BigMul(a, b, out _);

    private static long MultiplyHigh(long a, long b, long unused) => Math.BigMul(a, b, out _);

    private static uint PopulationCount(uint a) => (uint)BitOperations.PopCount(a);

    private static uint PopulationCount(ulong a) => (uint)BitOperations.PopCount(a);

    private static uint LeadingZeros(uint a) => (uint)BitOperations.LeadingZeroCount(a);

    private static uint LeadingZeros(ulong a) => (uint)BitOperations.LeadingZeroCount(a);

    private static uint Reverse(uint a)
    {
        uint reversed = 0;
        for (int i = 0; i < 32; i++)
            reversed |= (a >> i & 1) << (31 - i);
        return reversed;
    }

    private static ulong Reverse(ulong a) => ((ulong)Reverse((uint)a) << 32) | Reverse((uint)(a >> 32));

    private static uint ExtractField(uint a, uint position, uint length)
    {
        position &= 0xff;
        length &= 0xff;
        if (position >= 32 || length == 0)
            return 0;
        uint shifted = a >> (int)position;
        return length >= 32 ? shifted : shifted & ((1u << (int)length) - 1);
    }

    private static int ExtractField(int a, int position, int length)
    {
        position &= 0xff;
        length &= 0xff;
        if (length == 0)
            return 0;
        int sign = Math.Min(position + length - 1, 31);
        uint filled = (uint)(a << (31 - sign) >> 31);
        uint field = ExtractField((uint)a, (uint)position, (uint)length);
        int width = Math.Max(0, Math.Min(length, 32 - position));
        return width >= 32 ? (int)field : (int)(field | (filled << width));
    }

    private static uint FunnelLeftWrap(uint low, uint high, uint count) => (uint)(((((ulong)high << 32) | low) << (int)(count & 31)) >> 32);

    private static uint FunnelRightWrap(uint low, uint high, uint count) => (uint)((((ulong)high << 32) | low) >> (int)(count & 31));
}
