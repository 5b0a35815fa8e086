using System.Reflection;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Every kernel of the kernels assembly, in every instantiation that it names, or else that its constraints allow.</summary>
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
            : Allowed(type.GetGenericArguments(), []).Select(arguments => type.MakeGenericType([.. arguments]));
    }

    // A parameter has an interface, or is an argument of another one's: TWord, TState : IDeltaStateFormat<TWord>.
    private static IEnumerable<IEnumerable<Type>> Allowed(Type[] parameters, Dictionary<Type, Type> bound)
    {
        Type? open = parameters.FirstOrDefault(p => !bound.ContainsKey(p) && InterfaceOf(p) is not null);
        if (open is null)
            return [parameters.Select(p => bound[p])];
        return
            from type in typeof(IPortableKernel).Assembly.GetTypes()
            where type is { IsValueType: true, IsGenericTypeDefinition: false }
            from implemented in type.GetInterfaces()
            where implemented.Name == InterfaceOf(open)!.Name
            let all = InterfaceOf(open)!.GetGenericArguments().Zip(implemented.GetGenericArguments(), KeyValuePair.Create).Append(new(open, type))
            where all.All(pair => bound.GetValueOrDefault(pair.Key, pair.Value) == pair.Value)
            from allowed in Allowed(parameters, new Dictionary<Type, Type>(bound.UnionBy(all, pair => pair.Key)))
            select allowed;
    }

    private static Type? InterfaceOf(Type parameter) => parameter.GetGenericParameterConstraints().SingleOrDefault(c => c.IsInterface);

    private static KernelEntry Entry(Type kernel) => new(kernel.GetMethods(BindingFlags.Public | BindingFlags.Static).Single(
        m => m.GetParameters() is [{ ParameterType: var first }, ..] && (first == typeof(Index1D) || first == kernel)));
}
