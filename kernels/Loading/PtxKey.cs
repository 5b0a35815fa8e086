using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.PTX;

namespace QwenIlgpu.Kernels;

/// <summary>Everything that decides a kernel's PTX, known before it is compiled.</summary>
/// <param name="Method">The entry with its declaring type's arguments.</param>
/// <param name="Modules">Version ids of the modules that hold the kernel, what it is built from, and its type arguments.</param>
/// <param name="Specialization">Launch bounds, and the rewritten target where there is one.</param>
/// <param name="Rewrite">Version of the rewriting.</param>
/// <param name="InstructionSet">PTX ISA.</param>
/// <param name="Architecture">Of the device.</param>
/// <param name="Compiler">ILGPU's modules and the options that change its code.</param>
internal sealed record PtxKey(
    string Method, string Modules, string Specialization, int Rewrite, string InstructionSet, string Architecture, string Compiler)
{
    public static PtxKey Of(KernelEntry entry, PTXBackend backend)
    {
        ContextProperties options = backend.Context.Properties;
        return new PtxKey(
            $"{entry.Method.DeclaringType}::{entry.Method} grouped={entry.IsGrouped}",
            string.Join(',', ModulesOf(entry.Method).Append(typeof(PtxKey).Module).Select(m => m.ModuleVersionId).Distinct().Order()),
            $"{entry.Specialization} target={entry.TargetOn(backend.Architecture)}",
            PtxRewrite.Version,
            backend.InstructionSet.ToString(),
            backend.Architecture.ToString(),
            $"{Context.Version} {typeof(Context).Module.ModuleVersionId} {typeof(XMath).Module.ModuleVersionId} " +
            $"{options.OptimizationLevel} {options.InliningMode} {options.MathMode} {options.DebugSymbolsMode} {options.EnableAssertions}");
    }

    /// <summary>The name under which the text is cached: 64 hexadecimal digits.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(
        string.Join('\n', Method, Modules, Specialization, Rewrite, InstructionSet, Architecture, Compiler))));

    private static IEnumerable<Module> ModulesOf(MethodInfo method) =>
        Types(method.DeclaringType!).Concat(method.GetGenericArguments().SelectMany(Types)).Select(t => t.Module);

    private static IEnumerable<Type> Types(Type type) => type.GetGenericArguments().SelectMany(Types).Prepend(type);
}
