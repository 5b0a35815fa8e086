using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>
/// The stand-in driver of this process. It is loaded by its path before anything asks for a CUDA driver; from then on its shared
/// object name, libcuda.so.1, means it and no other.
/// </summary>
[SetUpFixture]
internal sealed partial class StandIn
{
    private const string Library = "stand-in";

    /// <summary>Folder that holds nothing but the driver.</summary>
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "stand-in");

    /// <summary>Everything recorded since the last <see cref="Clear"/>.</summary>
    public static DriverCall[] Calls
    {
        get
        {
            var entries = new DriverCall.Entry[Count()];
            if (Read(0, entries.Length, entries) != 0)
                throw new InvalidOperationException("the record of calls shrank while it was read");
            return DriverCall.From(entries);
        }
    }

    [LibraryImport(Library, EntryPoint = "standin_clear")]
    public static partial void Clear();

    /// <summary>How many handles of a kind have been created and not destroyed.</summary>
    [LibraryImport(Library, EntryPoint = "standin_live")]
    public static partial int Live(HandleKind kind);

    /// <summary>From now on whatever waits for the device fails with this error, as after a kernel's fault; 0 ends that.</summary>
    [LibraryImport(Library, EntryPoint = "standin_fault")]
    public static partial void Fault(int error);

    /// <summary>Every kind of handle of which some are alive, with their number.</summary>
    public static string LiveHandles() =>
        string.Join(", ", Enum.GetValues<HandleKind>().Where(k => Live(k) != 0).Select(k => $"{Live(k)} {k}"));

    /// <summary>Sets an environment variable as the driver's C library sees it; null removes it.</summary>
    public static void Set(string name, string? value) => _ = value is null ? UnsetEnvironment(name) : SetEnvironment(name, value, 1);

    [OneTimeSetUp]
    public void Load()
    {
        string file = Path.Combine(Folder, "libcuda.so.1");
        if (!OperatingSystem.IsLinux())
            Assert.Ignore("the stand-in driver is built on Linux only");
        if (!File.Exists(file))
            Assert.Ignore("the stand-in driver was not built: gcc is not installed");
        nint handle = NativeLibrary.Load(file);
        NativeLibrary.SetDllImportResolver(Assembly.GetExecutingAssembly(), (name, _, _) => name == Library ? handle : 0);
        Assert.That(EntrySize(), Is.EqualTo(Unsafe.SizeOf<DriverCall.Entry>()), "the layout of a record differs between C and C#");
    }

    [LibraryImport(Library, EntryPoint = "standin_entry_size")]
    private static partial int EntrySize();

    [LibraryImport(Library, EntryPoint = "standin_count")]
    private static partial nint Count();

    [LibraryImport(Library, EntryPoint = "standin_read")]
    private static partial int Read(nint first, nint number, [Out] DriverCall.Entry[] target);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);

    [LibraryImport("libc", EntryPoint = "unsetenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int UnsetEnvironment(string name);
}

/// <summary>The kinds of handle that the stand-in counts, in its order.</summary>
internal enum HandleKind
{
    Context,
    Stream,
    Event,
    Graph,
    GraphExec,
    Module,
    DeviceMemory,
    HostMemory,
}
