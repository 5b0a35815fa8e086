using System.Reflection;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>A test of another fixture, run within one that asks what it launches on the PTX machine.</summary>
internal static class MachineRun
{
    private static readonly Lazy<Dictionary<string, TestMethod>> Tests = new(() =>
        Within(new DefaultTestAssemblyBuilder().Build(typeof(MachineRun).Assembly, new Dictionary<string, object>()))
            .OfType<TestMethod>().GroupBy(t => t.FullName).ToDictionary(g => g.Key, g => g.First()));

    public static bool Exists(string name) => Tests.Value.ContainsKey(FullName(name));

    /// <summary>Runs a test by its name behind the namespace, set up and torn down.</summary>
    public static void Of(string name)
    {
        TestMethod test = Tests.Value[FullName(name)];
        ITest fixture = test;
        while (fixture is not TestFixture)
            fixture = fixture.Parent!;
        object instance = Activator.CreateInstance(fixture.TypeInfo!.Type, fixture.Arguments)!;
        try
        {
            Each<SetUpAttribute>(instance, Bases(instance).Reverse());
            test.Method.MethodInfo.Invoke(instance, BindingFlags.DoNotWrapExceptions, null, test.Arguments, null);
        }
        finally
        {
            Each<TearDownAttribute>(instance, Bases(instance));
        }
    }

    private static string FullName(string name) => $"{typeof(MachineRun).Namespace}.{name}";

    private static IEnumerable<ITest> Within(ITest test) => test.Tests.SelectMany(Within).Prepend(test);

    private static IEnumerable<Type> Bases(object instance)
    {
        for (Type? type = instance.GetType(); type is not null; type = type.BaseType)
            yield return type;
    }

    private static void Each<TAttribute>(object instance, IEnumerable<Type> types)
        where TAttribute : Attribute
    {
        foreach (Type type in types)
        {
            const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly;
            foreach (MethodInfo method in type.GetMethods(Declared).Where(m => m.IsDefined(typeof(TAttribute), inherit: false)))
                method.Invoke(instance, BindingFlags.DoNotWrapExceptions, null, null, null);
        }
    }
}
