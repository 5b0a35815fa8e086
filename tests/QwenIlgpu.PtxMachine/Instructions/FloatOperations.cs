using System.Numerics;
using System.Runtime.Intrinsics;
using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine;

/// <summary>A result whose NaN is hardware's one: 0x7fffffff, as f64 0x7fffffffffffffff.</summary>
internal readonly struct Canonical<T, TOperation> : IBinary<T>
    where TOperation : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => FloatLanes.Canonical(TOperation.Apply(a, b));
}

internal readonly struct Divide<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => a / b;
}

internal readonly struct LeastNumber<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.MinNumber(a, b);
}

internal readonly struct LargestNumber<T> : IBinary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b) => Vector512.MaxNumber(a, b);
}

internal readonly struct Inverse<T> : IUnary<T>
    where T : INumberBase<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => FloatLanes.Canonical(Vector512.Create(T.One) / a);
}

internal readonly struct Root<T> : IUnary<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => FloatLanes.Canonical(Vector512.Sqrt(a));
}

/// <summary>The sign turned, NaN's too.</summary>
internal readonly struct Opposite<T> : IUnary<T>
    where T : INumberBase<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => a ^ Vector512.Create(-T.Zero);
}

internal readonly struct Magnitude<T> : IUnary<T>
    where T : INumberBase<T>
{
    public static Vector512<T> Apply(Vector512<T> a) => Vector512.AndNot(a, Vector512.Create(-T.Zero));
}

/// <summary>a·b + c, rounded once.</summary>
internal readonly struct Fused<T> : ITernary<T>
{
    public static Vector512<T> Apply(Vector512<T> a, Vector512<T> b, Vector512<T> c) => FloatLanes.Canonical(typeof(T) == typeof(float)
        ? Vector512.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).As<float, T>()
        : Vector512.FusedMultiplyAdd(a.AsDouble(), b.AsDouble(), c.AsDouble()).As<double, T>());
}

internal static class FloatLanes
{
    public static Vector512<T> Canonical<T>(Vector512<T> a)
    {
        Vector512<T> nan = typeof(T) == typeof(float)
            ? Vector512.Create(CanonicalNaN.Single).As<uint, T>()
            : Vector512.Create(CanonicalNaN.Double).As<ulong, T>();
        return Vector512.ConditionalSelect(Vector512.Equals(a, a), a, nan);
    }
}
