using System.Globalization;
using System.Reflection;
using System.Text.Json;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>Runs kernel benchmarks, each at a shape of Qwen3.6-27B and held against its reference before anything is timed.</summary>
internal static class KernelBenchmarks
{
    private const int TimedRuns = 9;

    public static JsonSerializerOptions JsonOptions { get; } = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    /// <summary>Every benchmark: the static properties of that type, or a list of it, in this assembly.</summary>
    public static IReadOnlyList<KernelBenchmark> All { get; } =
    [
        .. Assembly.GetExecutingAssembly().GetTypes()
            .SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Static))
            .SelectMany(Of)
            .OrderBy(b => b.Name, StringComparer.Ordinal).ThenBy(b => b.Shape, StringComparer.Ordinal),
    ];

    /// <summary>What a property holds, if it is one of these; the list of all is none.</summary>
    public static IReadOnlyList<KernelBenchmark> Of(PropertyInfo property) => property switch
    {
        { DeclaringType: { } type } when type == typeof(KernelBenchmarks) => [],
        { PropertyType: { } type } when type == typeof(KernelBenchmark) => [(KernelBenchmark)property.GetValue(null)!],
        { PropertyType: { } type } when type == typeof(IReadOnlyList<KernelBenchmark>) => (IReadOnlyList<KernelBenchmark>)property.GetValue(null)!,
        _ => [],
    };

    /// <summary>0 when all ran, 1 when a result differed from its reference, 2 for wrong arguments.</summary>
    public static int Run(string[] args, IReadOnlyList<KernelBenchmark> benchmarks, TextWriter output, TextWriter errors)
    {
        string device = ValueOf("--device") ?? "cpu";
        string? jsonFile = ValueOf("--json");
        string[] names = [.. args.Where((a, i) => !a.StartsWith('-') && (i == 0 || args[i - 1] is not ("--device" or "--json")))];
        string[] unknown = [.. names.Except(benchmarks.Select(b => b.Name))];
        if (args.Any(a => a.StartsWith('-') && a is not ("--list" or "--smoke" or "--device" or "--json")) || unknown.Length > 0 || device is not ("cpu" or "cuda"))
        {
            errors.WriteLine("usage: QwenIlgpu.Bench [--list] [--smoke] [--device cpu|cuda] [--json FILE] [NAME …]   or   QwenIlgpu.Bench report [FILE|DIR …] --output DIR   or   QwenIlgpu.Bench host [BenchmarkDotNet options]");
            if (unknown.Length > 0)
                errors.WriteLine($"no benchmark named {string.Join(", ", unknown)}; --list names them");
            return 2;
        }

        if (args.Contains("--list"))
        {
            foreach (KernelBenchmark benchmark in benchmarks)
                output.WriteLine($"{benchmark.Name,-32} {benchmark.Shape}");
            return 0;
        }

        // Before anything is measured, so that a file that cannot be written costs nothing.
        using OutputFile? json = jsonFile is null ? null : OutputFile.Create(jsonFile);
        output.WriteLine($"{"kernel",-32} {"shape",-52} {"median µs",12} {"min",10} {"max",10} {"GB/s",8} {"of read",8} {"GFLOP/s",8} {"error",9}");
        var results = new List<KernelResult>();
        int wrong = 0;
        foreach (KernelBenchmark benchmark in benchmarks.Where(b => names.Length == 0 || names.Contains(b.Name)))
        {
            if (benchmark.NeedsWarps && device == "cpu")
            {
                output.WriteLine($"{benchmark.Name,-32} {benchmark.Shape,-52} needs warps: not run on the CPU");
                continue;
            }

            if (Measure(benchmark, device, args.Contains("--smoke"), output) is { } result)
                results.Add(result);
            else
                wrong++;
        }

        json?.Write(JsonSerializer.SerializeToUtf8Bytes(results, JsonOptions));
        json?.Complete();
        return wrong == 0 ? 0 : 1;

        string? ValueOf(string option) => args.SkipWhile(a => a != option).Skip(1).FirstOrDefault();
    }

    // Null when the result differs from the reference: then nothing is timed.
    private static KernelResult? Measure(KernelBenchmark benchmark, string device, bool smoke, TextWriter output)
    {
        using var bench = new BenchDevice(device);
        PreparedKernel kernel = benchmark.Prepare(bench);
        kernel.Run(bench.Stream);
        bench.Stream.Synchronize();
        double error = kernel.ErrorAgainstReference();
        if (!(error <= kernel.Tolerance))
        {
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{benchmark.Name,-32} {benchmark.Shape,-52} differs from its reference by {error:E2}, at most {kernel.Tolerance:E2} allowed: not timed"));
            return null;
        }

        // What the CPU's threads read from memory, just before and just after: a shared machine's changes.
        Func<double?> read = () => device == "cpu" && !smoke ? StreamRead.MeasureBytesPerSecond(bench.Loader.Cpu.Count) : null;
        double? before = read();
        double[] times = [.. Enumerable.Range(0, smoke ? 1 : TimedRuns).Select(_ => bench.TimeMicroseconds(kernel)).Order()];
        double median = times[times.Length / 2];
        double? percent = kernel.Bytes / median / 1e3 * 100 / ((before + read()) / 2 / 1e9);
        var result = new KernelResult(
            benchmark.Name, benchmark.Shape, median, times[0], times[^1], kernel.Bytes / median / 1e3, kernel.Flops / median / 1e3, error, percent);
        output.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{result.Name,-32} {result.Shape,-52} {median,12:F1} {times[0],10:F1} {times[^1],10:F1} {result.GigabytesPerSecond,8:F2} {(percent is null ? "-" : $"{percent:F0} %"),8} {result.GigaflopsPerSecond,8:F2} {error,9:E1}"));
        return result;
    }
}

/// <summary>One measured kernel; on the CPU with its bytes a second in percent of what its threads read.</summary>
internal sealed record KernelResult(
    string Name, string Shape, double MedianUs, double MinUs, double MaxUs, double GigabytesPerSecond, double GigaflopsPerSecond, double Error,
    double? PercentOfRead = null);
