using System.Reflection;
using ILGPU;
using ILGPU.Backends.PTX;
using ILGPU.IR;
using ILGPU.IR.Intrinsics;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The hardware instructions that kernels use, one C# method each. <see cref="Register"/> tells an ILGPU context how PTX has
/// them; on the CPU accelerator their bodies run.
/// </summary>
internal static class Intrinsics
{
    private const BindingFlags Methods = BindingFlags.Static | BindingFlags.Public;

    /// <summary>The classes that hold instructions.</summary>
    public static IReadOnlyList<Type> Classes { get; } =
    [
        typeof(GlobalLoad), typeof(CachePolicy), typeof(DeviceScope), typeof(GroupScope), typeof(GridDependency),
        typeof(AsyncCopy), typeof(LoadMatrix), typeof(Mma),
        typeof(F16x2), typeof(Bf16x2), typeof(Bits), typeof(Float32),
        typeof(WarpShuffle),
    ];

    /// <summary>Every method that stands for an instruction.</summary>
    public static IEnumerable<MethodInfo> Instructions =>
        Classes.SelectMany(c => c.GetMethods(Methods)).Where(m => m.IsDefined(typeof(PtxAttribute)));

    /// <summary>Must precede the creation of any accelerator or backend of the context.</summary>
    public static void Register(Context context)
    {
        IntrinsicImplementationManager manager = context.GetIntrinsicManager();
        var ptx = new PTXIntrinsic(typeof(PtxInstruction), nameof(PtxInstruction.Write), IntrinsicImplementationMode.GenerateCode);
        foreach (MethodInfo instruction in Instructions)
            manager.RegisterMethod(instruction, ptx);
    }
}
