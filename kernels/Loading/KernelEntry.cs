using System.Reflection;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels;

/// <summary>A kernel's static entry with what its struct says of how it is compiled and launched.</summary>
internal sealed class KernelEntry
{
    // Small groups spread few items over many multiprocessors, and any register count fits.
    private const int DefaultGroupThreads = 128;

    private readonly LaunchBoundsAttribute? bounds;
    private readonly RequiresArchitectureAttribute? required;

    public KernelEntry(MethodInfo method)
    {
        Type kernel = method.DeclaringType ?? throw new ArgumentException($"kernel entry {method.Name} has no declaring type");
        Method = method;
        IsGrouped = method.GetParameters() is not [{ ParameterType: var first }, ..] || first != typeof(Index1D);
        bounds = kernel.GetCustomAttribute<LaunchBoundsAttribute>();
        required = kernel.GetCustomAttribute<RequiresArchitectureAttribute>();
        WaitsForPredecessor = kernel.IsDefined(typeof(WaitsForPredecessorAttribute));
        UsualGroupThreads = SizeOf(kernel, nameof(ILaunchSize.GroupSize)) ?? GroupThreads;
        DynamicSharedBytes = SizeOf(kernel, nameof(ILaunchSize.DynamicSharedBytes)) ?? 0;
    }

    public MethodInfo Method { get; }

    /// <summary>Launched with explicit groups; otherwise one thread an item.</summary>
    public bool IsGrouped { get; }

    public bool WaitsForPredecessor { get; }

    /// <summary>Threads of a portable launch's groups; the most that a group launch may ask for where bounds are given.</summary>
    public int GroupThreads => bounds?.MaxThreads ?? DefaultGroupThreads;

    public bool HasBounds => bounds is not null;

    /// <summary>Threads of a group of a usual launch: as the kernel's type says, or as many as bounds allow.</summary>
    public int UsualGroupThreads { get; }

    /// <summary>Dynamic shared memory that the kernel's launches ask for.</summary>
    public int DynamicSharedBytes { get; }

    public EntryPointDescription Description => IsGrouped
        ? EntryPointDescription.FromExplicitlyGroupedKernel(Method)
        : EntryPointDescription.FromImplicitlyGroupedKernel(Method);

    public KernelSpecialization Specialization => bounds is null
        ? KernelSpecialization.Empty
        : new KernelSpecialization(bounds.MaxThreads, bounds.MinGroups > 0 ? bounds.MinGroups : null);

    /// <summary>False where the kernel needs a later architecture.</summary>
    public bool RunsOn(CudaArchitecture device) =>
        required is null || (device.Major, device.Minor).CompareTo((required.Major, required.Minor)) >= 0;

    /// <summary>The <c>.target</c> that the kernel needs on this device; null keeps ILGPU's.</summary>
    /// <exception cref="NotSupportedException">The device is older than the kernel.</exception>
    public string? TargetOn(CudaArchitecture device)
    {
        if (required is null)
            return null;
        if (!RunsOn(device))
        {
            throw new NotSupportedException(
                $"kernel {this} needs compute capability {required.Major}.{required.Minor}; this device has {device.Major}.{device.Minor}");
        }

        return $"sm_{device.Major}{device.Minor}{(required.DeviceOnly ? "a" : "")}";
    }

    /// <summary>The kernel's type as C# writes it: <c>EmbeddingKernel&lt;Bf16Weights&gt;</c>.</summary>
    public override string ToString() => NameOf(Method.DeclaringType!);

    private static int? SizeOf(Type kernel, string name)
    {
        if (!kernel.IsAssignableTo(typeof(ILaunchSize)))
            return null;
        InterfaceMapping map = kernel.GetInterfaceMap(typeof(ILaunchSize));
        int place = Array.FindIndex(map.InterfaceMethods, m => m.Name == $"get_{name}");
        return (int)map.TargetMethods[place].Invoke(null, null)!;
    }

    private static string NameOf(Type type)
    {
        string name = type.Name.Split('`')[0];
        return type.IsGenericType ? $"{name}<{string.Join(", ", type.GetGenericArguments().Select(NameOf))}>" : name;
    }
}
