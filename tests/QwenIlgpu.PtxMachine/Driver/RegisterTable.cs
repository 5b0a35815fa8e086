using System.Globalization;
using System.Reflection;

namespace QwenIlgpu.PtxMachine;

/// <summary>
/// Registers of kernels out of a table such as bench/ptx-report.md: a row a kernel, a column an architecture, whose cells begin with
/// registers. The table knows kernels by the types of their structs, a driver by the names of their entries.
/// </summary>
public static class RegisterTable
{
    private const string EntryPrefix = "Kernel_";

    /// <summary>
    /// What <see cref="DriverOptions.RegistersOf"/> takes. Instantiations share the name of their entry: the largest number counts. The
    /// kernels' assembly must be loaded when the first kernel is.
    /// </summary>
    /// <param name="table">The table's text.</param>
    /// <param name="architecture">Its column.</param>
    /// <exception cref="ArgumentException">The table has no such column.</exception>
    public static Func<string, int> Read(string table, GpuArchitecture architecture)
    {
        Dictionary<string, int> ofTypes = Column(table, architecture.Name);
        var ofEntries = new Lazy<Dictionary<string, int>>(() => ByEntry(ofTypes));
        return entry => ofEntries.Value.GetValueOrDefault(entry);
    }

    private static Dictionary<string, int> Column(string table, string architecture)
    {
        IEnumerable<string> lines = table.Split('\n').Where(l => l.StartsWith('|'));
        string[][] rows = [.. lines.Select(l => l.Trim('|', '\r').Split('|', StringSplitOptions.TrimEntries))];
        int column = rows.Length == 0 ? -1 : Array.IndexOf(rows[0], architecture);
        if (column < 0)
            throw new ArgumentException($"the table of registers has no column {architecture}");
        var registers = new Dictionary<string, int>();
        foreach (string[] row in rows.Skip(2))
        {
            string type = row[0].Trim('`').Split('<')[0];
            if (int.TryParse(row[column].Split(' ')[0], CultureInfo.InvariantCulture, out int count))
                registers[type] = Math.Max(count, registers.GetValueOrDefault(type));
        }

        return registers;
    }

    // An entry is a static method of the kernel's struct.
    private static Dictionary<string, int> ByEntry(Dictionary<string, int> ofTypes)
    {
        var registers = new Dictionary<string, int>();
        IEnumerable<Type> types = AppDomain.CurrentDomain.GetAssemblies().Where(a => !a.IsDynamic).SelectMany(Structs);
        foreach (Type type in types)
        {
            if (!ofTypes.TryGetValue(type.Name.Split('`')[0], out int count))
                continue;
            foreach (MethodInfo method in type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            {
                string entry = EntryPrefix + method.Name;
                registers[entry] = Math.Max(count, registers.GetValueOrDefault(entry));
            }
        }

        return registers;
    }

    // Of an assembly of which some references are not there, those that can be loaded.
    private static Type[] Structs(Assembly assembly)
    {
        try
        {
            return Array.FindAll(assembly.GetTypes(), t => t.IsValueType);
        }
        catch (ReflectionTypeLoadException e)
        {
            return [.. e.Types.Where(t => t is { IsValueType: true }).Select(t => t!)];
        }
    }
}
