using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using ILGPU;
using ILGPU.Algorithms;
using ILGPU.Backends.PTX;

namespace QwenIlgpu.Kernels;

/// <summary>
/// PTX texts on disk, one file each, led by a comment with the checksum of the rest. It is an accelerator only: a directory that
/// is null, missing or read-only and a file that is damaged are the same as an empty cache. Processes may share it.
/// </summary>
internal sealed class PtxCache(string? directory)
{
    private const string Header = "// sha256 ";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The text stored under this key, or null.</summary>
    public string? Find(PtxKey key)
    {
        if (directory is null)
            return null;
        try
        {
            string file = FileOf(directory, key);
            if (FileKinds.Of(file) != FileKind.Regular)
                return null;
            string content = File.ReadAllText(file, Encoding.UTF8);
            int end = content.IndexOf('\n', StringComparison.Ordinal);
            if (end < 0)
                return null;
            string text = content[(end + 1)..];
            return content.AsSpan(0, end).SequenceEqual(HeaderOf(text)) ? text : null;
        }
        catch (Exception e) when (IsFileTrouble(e))
        {
            return null;
        }
    }

    /// <summary>Stores a text, replacing what is there; a reader sees all of it or none.</summary>
    public void Store(PtxKey key, string text)
    {
        if (directory is null)
            return;
        try
        {
            CreateDirectory(directory);
            string file = FileOf(directory, key);
            if (FileKinds.Of(file) is FileKind.Missing or FileKind.Regular)
                OutputFile.WriteText(file, $"{HeaderOf(text)}\n{text}", survivesPowerLoss: false);
        }
        catch (Exception e) when (IsFileTrouble(e))
        {
            // The next process compiles it again.
        }
    }

    private static string FileOf(string directory, PtxKey key) => Path.Combine(directory, key.Hash + ".ptx");

    private static string HeaderOf(string text) => Header + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    private static void CreateDirectory(string path)
    {
        if (OperatingSystem.IsWindows())
            Directory.CreateDirectory(path);
        else
            Directory.CreateDirectory(path, OwnerOnly);
    }

    private static bool IsFileTrouble(Exception e) =>
        e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException or System.Security.SecurityException;
}

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
