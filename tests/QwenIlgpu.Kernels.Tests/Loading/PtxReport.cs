using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// Registers, local memory, shared memory and occupancy of every kernel on every architecture, and its memory traffic on the PTX machine:
/// the table bench/ptx-report.md.
/// </summary>
internal sealed class PtxReport(
    string release,
    IReadOnlyDictionary<(string Kernel, string Architecture), PtxReportCell> cells,
    IReadOnlyDictionary<string, PtxTrafficCells>? traffic = null)
{
    /// <summary>A kernel that takes this many registers more than the table says has changed.</summary>
    public const int RegisterTolerance = 8;

    /// <summary>And so has one that takes this share more.</summary>
    public const double RegisterShareTolerance = 0.15;

    /// <summary>A cell of nothing.</summary>
    public const string Absent = "—";

    private const string SectorsColumn = "sectors";
    private const string ConflictsColumn = "conflicts";
    private const string Command =
        "PTXAS=$(.ci/install-ptxas) dotnet run -c Release --project tests/QwenIlgpu.Kernels.Tests -- " +
        "--exhaustive --filter \"FullyQualifiedName~PtxReportTests|FullyQualifiedName~RealSliceTests\" --test-parameter ptx-report=update";

    /// <summary>The CUDA release whose assembler made it.</summary>
    public string Release { get; } = release;

    public IReadOnlyDictionary<(string Kernel, string Architecture), PtxReportCell> Cells { get; } = cells;

    /// <summary>Of the kernels that have been run on the PTX machine.</summary>
    public IReadOnlyDictionary<string, PtxTrafficCells> Traffic { get; } = traffic ?? new Dictionary<string, PtxTrafficCells>();

    /// <summary>The committed table.</summary>
    public static string FilePath => Repository.PathTo("bench", "ptx-report.md");

    /// <summary>Compiles and assembles everything for these architectures. What the assembler refuses is in <paramref name="refused"/>.</summary>
    public static PtxReport Measure(Ptxas ptxas, CudaArchitecture[] architectures, out IReadOnlyList<string> refused)
    {
        var cells = new ConcurrentDictionary<(string, string), PtxReportCell>();
        var errors = new ConcurrentBag<string>();
        var jobs = KernelCatalogue.All.SelectMany(k => architectures.Where(k.RunsOn).Select(a => (Kernel: k, Architecture: a)));
        Parallel.ForEach(jobs, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, job =>
        {
            (KernelEntry kernel, CudaArchitecture architecture) = job;
            try
            {
                AssembledKernel assembled = ptxas.Assemble(PtxBuild.Shared.Text(kernel, architecture), architecture);
                int sharedBytes = assembled.SharedBytes + kernel.DynamicSharedBytes;
                int occupancy = Occupancy.Of(architecture).Percent(assembled.Registers, sharedBytes, kernel.UsualGroupThreads);
                cells[(kernel.ToString(), PtxBuild.NameOf(architecture))] =
                    new PtxReportCell(kernel.UsualGroupThreads, assembled.Registers, assembled.LocalBytes, sharedBytes, occupancy);
            }
            catch (InvalidOperationException e)
            {
                errors.Add($"{kernel} on {PtxBuild.NameOf(architecture)}: {e.Message}");
            }
        });
        refused = [.. errors.Order(StringComparer.Ordinal)];
        return new PtxReport(ptxas.Release, cells);
    }

    public static PtxReport Parse(string text)
    {
        string[] lines = text.Split('\n', StringSplitOptions.TrimEntries);
        string release = lines.Select(l => l.Split("ptxas ")).First(p => p.Length > 1)[1].Split(' ')[0];
        string[][] rows = [.. lines.Where(l => l.StartsWith('|')).Select(l => l.Trim('|').Split('|', StringSplitOptions.TrimEntries))];
        string[] architectures = [.. rows[0][2..].TakeWhile(c => c != SectorsColumn)];
        bool hasTraffic = architectures.Length + 2 < rows[0].Length;
        var cells = new Dictionary<(string, string), PtxReportCell>();
        var traffic = new Dictionary<string, PtxTrafficCells>();
        foreach (string[] row in rows.Skip(2))
        {
            for (int i = 0; i < architectures.Length; i++)
            {
                if (row[i + 2] != Absent)
                    cells.Add((row[0].Trim('`'), architectures[i]), PtxReportCell.Parse(row[1], row[i + 2]));
            }

            if (hasTraffic && (row[^2], row[^1]) != (Absent, Absent))
                traffic.Add(row[0].Trim('`'), PtxTrafficCells.Parse(row[^2], row[^1]));
        }

        return new PtxReport(release, cells, traffic);
    }

    /// <summary>With other traffic of some kernels.</summary>
    public PtxReport With(IEnumerable<KeyValuePair<string, PtxTrafficCells>> measured)
    {
        var all = new Dictionary<string, PtxTrafficCells>(Traffic);
        foreach ((string kernel, PtxTrafficCells cells) in measured)
            all[kernel] = cells;
        return new PtxReport(Release, Cells, all);
    }

    /// <summary>What a kernel's traffic differs by from the table; null where it holds.</summary>
    public string? CompareTraffic(string kernel, PtxTrafficCells now) =>
        Traffic.GetValueOrDefault(kernel).Differs(now) is { } difference ? $"{kernel}: {difference}" : null;

    /// <summary>The columns of these architectures.</summary>
    public PtxReport Only(CudaArchitecture[] architectures)
    {
        string[] names = Array.ConvertAll(architectures, PtxBuild.NameOf);
        return new PtxReport(Release, Cells.Where(c => names.Contains(c.Key.Architecture)).ToDictionary(), Traffic);
    }

    /// <summary>What is worse, new or gone in <paramref name="now"/>, one line each; empty where the table still holds.</summary>
    public IReadOnlyList<string> Compare(PtxReport now)
    {
        var complaints = new List<string>();
        foreach (((string kernel, string architecture), PtxReportCell cell) in now.Cells)
        {
            string where = $"{kernel} on {architecture}";
            if (!Cells.TryGetValue((kernel, architecture), out PtxReportCell? known))
                complaints.Add($"{where}: not in the table ({cell})");
            else if (cell.LocalBytes > known.LocalBytes)
                complaints.Add($"{where}: {cell.LocalBytes} bytes of stack and spills, the table says {known.LocalBytes}");
            else if (cell.Registers - known.Registers > Math.Min(RegisterTolerance, known.Registers * RegisterShareTolerance))
                complaints.Add($"{where}: {cell.Registers} registers, the table says {known.Registers}");
        }

        complaints.AddRange(
            Cells.Keys.Where(k => !now.Cells.ContainsKey(k)).Select(k => $"{k.Kernel} on {k.Architecture}: in the table but gone"));
        complaints.Sort(StringComparer.Ordinal);
        return complaints;
    }

    /// <summary>The failure of a comparison: its lines, the rule, and how to accept them.</summary>
    public static string Explain(IReadOnlyList<string> complaints) =>
        $"""
        {string.Join('\n', complaints)}
        A kernel may not take more stack and spills than {Path.GetFileName(FilePath)} says, nor more than {RegisterTolerance} registers or
        {RegisterShareTolerance:P0} beyond it; sectors and conflicts are within {PtxTrafficCells.Tolerance}. If it is meant so, write the table again and commit it:
        {Command}
        """;

    public override string ToString()
    {
        string[] architectures = [.. Cells.Keys.Select(k => k.Architecture).Distinct().Order(StringComparer.Ordinal)];
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # What the kernels take of a GPU

            Generated with ptxas {Release} from the PTX that ILGPU emits and the loader rewrites; a test compares it. Nothing here was
            measured on a GPU. A cell holds registers a thread · bytes a thread of stack frame and spills · shared bytes a group · share of a
            multiprocessor's warps that groups of that many threads can keep, by registers and shared memory. ILGPU's text of a kernel, and so
            its registers, depends a little on what the process compiled before: of several runs the largest number stands here.

            The last two columns come from the PTX machine of the tests, which counts what each kernel does at a slice of Qwen3.6-27B
            (tests/QwenIlgpu.Kernels.Tests/RealSlices). Sectors: 32-byte sectors of global memory that warps touch, over as many as the same
            bytes would fill; 1.00 is the least. Conflicts: passes over the banks of shared memory beyond the least, per access of a warp; —
            without shared memory.

            ```sh
            {Command}
            ```

            | kernel | threads |{string.Concat(architectures.Select(a => $" {a} |"))} {SectorsColumn} | {ConflictsColumn} |
            |---|--:|{string.Concat(architectures.Select(_ => "---|"))}--:|--:|

            """);
        foreach (IGrouping<string, ((string Kernel, string Architecture) Key, PtxReportCell Cell)> row in Cells
            .Select(c => (c.Key, Cell: c.Value)).OrderBy(c => c.Key.Kernel, StringComparer.Ordinal).GroupBy(c => c.Key.Kernel))
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{row.Key}` | {row.First().Cell.Threads} |");
            foreach (string architecture in architectures)
            {
                PtxReportCell? cell = Cells.GetValueOrDefault((row.Key, architecture));
                text.Append(CultureInfo.InvariantCulture, $" {cell?.ToString() ?? Absent} |");
            }

            text.Append(CultureInfo.InvariantCulture, $" {Traffic.GetValueOrDefault(row.Key)} |\n");
        }

        return text.ToString();
    }
}

/// <summary>One kernel on one architecture.</summary>
internal sealed record PtxReportCell(int Threads, int Registers, int LocalBytes, int SharedBytes, int OccupancyPercent)
{
    public static PtxReportCell Parse(string threads, string cell)
    {
        int[] numbers = [.. cell.TrimEnd(' ', '%').Split('·').Select(n => int.Parse(n, CultureInfo.InvariantCulture))];
        return new PtxReportCell(int.Parse(threads, CultureInfo.InvariantCulture), numbers[0], numbers[1], numbers[2], numbers[3]);
    }

    public override string ToString() => $"{Registers} · {LocalBytes} · {SharedBytes} · {OccupancyPercent} %";
}
