using System.Globalization;
using System.Runtime.InteropServices;
using QwenIlgpu.PtxMachine;

/// <summary>
/// Makes the machine the CUDA device of a .NET process that knows nothing of it: DOTNET_STARTUP_HOOKS names this assembly. The variables
/// that it reads are in README.md.
/// </summary>
internal static partial class StartupHook
{
    private const string Prefix = "PTX_MACHINE_";
    private const int Misused = 2;

    // Of malloc.h.
    private const int TrimThreshold = -1;
    private const int MapThreshold = -3;

    public static void Initialize()
    {
        try
        {
            GpuArchitecture architecture = ArchitectureOf(Text("ARCHITECTURE"));
            var machine = new Machine(new MachineOptions
            {
                Seed = Number("SEED", 0),
                Sanitizes = Switch("SANITIZES", false),
                Declared = MachineDeclarations.All,
            });
            MachineDriver.Install(machine, new DriverOptions
            {
                Architecture = architecture,
                RegistersOf = Text("REGISTERS") is { } table ? RegisterTable.Read(TableOf(table), architecture) : null,
                Devices = Number("DEVICES", 1),
                MemoryBytes = (long)Number("MEMORY_GIB", 8) << 30,
                Order = OrderOf(Text("ORDER") ?? "drawn"),
                Seed = machine.Options.Seed,
                FaultsStick = true,
            });

            // The process is only told an error's number.
            MachineDriver.Faulted += e => Console.Error.WriteLine($"the PTX machine: {e.Message}");

            // Each launch takes memory for its groups and gives it back: the process keeps it, instead of asking the system every time.
            _ = SetAllocator(MapThreshold, 32 << 20);
            _ = SetAllocator(TrimThreshold, 1 << 30);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
            Console.Error.WriteLine(e.Message);
            Environment.Exit(Misused);
        }
    }

    private static string? Text(string name) => Environment.GetEnvironmentVariable(Prefix + name) is { Length: > 0 } text ? text : null;

    private static int Number(string name, int otherwise)
    {
        if (Text(name) is not { } text)
            return otherwise;
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new ArgumentException($"{Prefix}{name} is '{text}', which is no whole number from 0 on");
    }

    private static bool Switch(string name, bool otherwise) => Text(name) switch
    {
        null => otherwise,
        "0" => false,
        "1" => true,
        var text => throw new ArgumentException($"{Prefix}{name} is '{text}', which is neither 0 nor 1"),
    };

    private static GpuArchitecture ArchitectureOf(string? text) => text is null
        ? GpuArchitecture.Sm90
        : GpuArchitecture.All.FirstOrDefault(a => a.Name == text)
            ?? throw new ArgumentException(
                $"{Prefix}ARCHITECTURE is '{text}', which is none of {string.Join(", ", GpuArchitecture.All.Select(a => a.Name))}");

    private static string TableOf(string file) => File.Exists(file)
        ? File.ReadAllText(file)
        : throw new ArgumentException($"{Prefix}REGISTERS is '{file}', and there is no such file");

    private static WorkOrder OrderOf(string text) => text switch
    {
        "at-once" => WorkOrder.AtOnce,
        "drawn" => WorkOrder.Drawn,
        "late" => WorkOrder.Late,
        _ => throw new ArgumentException($"{Prefix}ORDER is '{text}', which is none of at-once, drawn and late"),
    };

    [LibraryImport("libc", EntryPoint = "mallopt")]
    private static partial int SetAllocator(int parameter, int value);
}
