using System.Reflection;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every kernel of the kernels assembly, in every instantiation that it names.</summary>
internal static class KernelCatalogue
{
    public static IReadOnlyList<KernelEntry> All { get; } =
    [
        .. typeof(IPortableKernel).Assembly.GetTypes()
            .Where(t => t.IsValueType && (t.IsAssignableTo(typeof(IPortableKernel)) || t.IsAssignableTo(typeof(IGroupKernel))))
            .SelectMany(Closed).Select(Entry).OrderBy(e => e.ToString(), StringComparer.Ordinal),
    ];

    /// <summary>The kernel of this name: <c>EmbeddingKernel&lt;Bf16Weights&gt;</c>.</summary>
    public static KernelEntry Named(string name) => All.Single(e => e.ToString() == name);

    private static IEnumerable<Type> Closed(Type type)
    {
        if (!type.IsGenericTypeDefinition)
            return [type];
        InstantiationAttribute[] instantiations = [.. type.GetCustomAttributes<InstantiationAttribute>()];
        return instantiations.Length > 0
            ? instantiations.Select(i => type.MakeGenericType(i.Arguments))
            : throw new InvalidOperationException($"{type.Name} is generic and names no instantiation");
    }

    private static KernelEntry Entry(Type kernel) => new(kernel.GetMethods(BindingFlags.Public | BindingFlags.Static).Single(
        m => m.GetParameters() is [{ ParameterType: var first }, ..] && (first == typeof(Index1D) || first == kernel)));
}
