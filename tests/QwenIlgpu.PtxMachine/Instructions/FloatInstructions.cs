using System.Numerics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary>f32 and f64. PTX ISA, Floating Point Instructions: rounded to nearest even, subnormals kept, every NaN the one NaN.</summary>
internal static unsafe class FloatInstructions
{
    public static void AddTo(Dictionary<string, Func<OperandReader, Instruction>> known)
    {
        AddArithmetic<float>(known, "f32", SlotKind.Word);
        AddArithmetic<double>(known, "f64", SlotKind.Double);
        foreach (string approximate in (string[])["div.full.f32", "div.approx.f32"])
            known[approximate] = known["div.rn.f32"];
        AddApproximation(known, "ex2.approx", &Approximations.Ex2);
        AddApproximation(known, "lg2.approx", &Approximations.Lg2);
        AddApproximation(known, "rcp.approx", &Approximations.Reciprocal);
        AddApproximation(known, "rsqrt.approx", &Approximations.ReciprocalSquareRoot);
        AddApproximation(known, "sin.approx", &Approximations.Sine);
        AddApproximation(known, "cos.approx", &Approximations.Cosine);
        known["tanh.approx.f32"] = r => new SpanUnary<float, float>(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), &Approximations.Tanh);
        AddHalves<F16Lanes>(known, "f16x2");
        AddHalves<Bf16Lanes>(known, "bf16x2");
    }

    private static void AddArithmetic<T>(Dictionary<string, Func<OperandReader, Instruction>> known, string type, SlotKind kind)
        where T : unmanaged, IBinaryFloatingPointIeee754<T>
    {
        foreach (string rounding in (string[])["", ".rn"])
        {
            known[$"add{rounding}.{type}"] = Binary<T, Canonical<T, Add<T>>>(kind);
            known[$"sub{rounding}.{type}"] = Binary<T, Canonical<T, Subtract<T>>>(kind);
            known[$"mul{rounding}.{type}"] = Binary<T, Canonical<T, Multiply<T>>>(kind);
        }

        known[$"fma.rn.{type}"] = r => new Ternary<T, Fused<T>>(r.Result(kind), r.Source(1, kind), r.Source(2, kind), r.Source(3, kind));
        known[$"div.rn.{type}"] = Binary<T, Canonical<T, Divide<T>>>(kind);
        known[$"rcp.rn.{type}"] = Unary<T, Inverse<T>>(kind);
        known[$"sqrt.rn.{type}"] = Unary<T, Root<T>>(kind);
        known[$"neg.{type}"] = Unary<T, Opposite<T>>(kind);
        known[$"abs.{type}"] = Unary<T, Magnitude<T>>(kind);
        known[$"min.{type}"] = Binary<T, Canonical<T, LeastNumber<T>>>(kind);
        known[$"max.{type}"] = Binary<T, Canonical<T, LargestNumber<T>>>(kind);
    }

    private static void AddApproximation(
        Dictionary<string, Func<OperandReader, Instruction>> known, string name, delegate*<ReadOnlySpan<float>, Span<float>, bool, void> f)
    {
        nint function = (nint)f;
        foreach ((string spelling, bool isFlushed) in ((string, bool)[])[($"{name}.f32", false), ($"{name}.ftz.f32", true)])
        {
            known[spelling] = r => new Approximation(
                r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), (delegate*<ReadOnlySpan<float>, Span<float>, bool, void>)function, isFlushed);
        }
    }

    private static void AddHalves<TFormat>(Dictionary<string, Func<OperandReader, Instruction>> known, string type)
        where TFormat : struct, IHalfLanes
    {
        foreach (string rounding in (string[])["", ".rn"])
        {
            known[$"add{rounding}.{type}"] = r => OfHalves(r, &PackedHalves.Add<TFormat>);
            known[$"sub{rounding}.{type}"] = r => OfHalves(r, &PackedHalves.Subtract<TFormat>);
            known[$"mul{rounding}.{type}"] = r => OfHalves(r, &PackedHalves.Multiply<TFormat>);
        }

        known[$"fma.rn.{type}"] = r => new SpanTernary(
            r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), r.Source(3, SlotKind.Word), &PackedHalves.Fma<TFormat>);
    }

    private static SpanBinary<uint, uint> OfHalves(OperandReader r, delegate*<ReadOnlySpan<uint>, ReadOnlySpan<uint>, Span<uint>, void> f) =>
        new(r.Result(SlotKind.Word), r.Source(1, SlotKind.Word), r.Source(2, SlotKind.Word), f);

    private static Func<OperandReader, Instruction> Unary<T, TOperation>(SlotKind kind)
        where T : unmanaged
        where TOperation : IUnary<T> => r => new Unary<T, TOperation>(r.Result(kind), r.Source(1, kind));

    private static Func<OperandReader, Instruction> Binary<T, TOperation>(SlotKind kind)
        where T : unmanaged
        where TOperation : IBinary<T> => r => new Binary<T, TOperation>(r.Result(kind), r.Source(1, kind), r.Source(2, kind));
}
