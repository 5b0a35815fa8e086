using System.Linq.Expressions;
using System.Reflection;
using ILGPU;
using ILGPU.Runtime.CPU;

namespace QwenIlgpu.Kernels;

/// <summary>What ILGPU's CPU accelerator knows of the thread that runs an intrinsic's body, and does not publish.</summary>
internal static class CpuThread
{
    private const BindingFlags Any = BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    private static readonly Func<object> Launch =
        Compile(Field(Property(Property(Current("CPURuntimeGroupContext"), "Multiprocessor"), "Accelerator"), "currentTask"));

    private static readonly Func<object> Warp = Compile(Current("CPURuntimeWarpContext"));

    /// <summary>The warp of this thread: one object as long as the accelerator lives.</summary>
    public static object CurrentWarp() => Warp();

    /// <summary>The group that this thread works for just now.</summary>
    public static GroupIdentity CurrentGroup() => new(Launch(), Grid.LinearIndex);

    private static MemberExpression Current(string name)
    {
        Type type = typeof(CPUAccelerator).Assembly.GetType($"ILGPU.Runtime.CPU.{name}", throwOnError: true)!;
        return Expression.Property(null, type.GetProperty("Current", Any)!);
    }

    private static MemberExpression Property(Expression of, string name) => Expression.Property(of, of.Type.GetProperty(name, Any)!);

    private static MemberExpression Field(Expression of, string name) => Expression.Field(of, of.Type.GetField(name, Any)!);

    private static Func<object> Compile(Expression value) =>
        Expression.Lambda<Func<object>>(Expression.Convert(value, typeof(object))).Compile();

    /// <summary>One group of one launch.</summary>
    public readonly record struct GroupIdentity(object Launch, int Group);
}
