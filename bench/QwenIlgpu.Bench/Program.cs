using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using QwenIlgpu.Bench;

// Kernel benchmarks: each at one shape of Qwen3.6-27B, checked against its reference before anything is reported.
KernelBenchmark[] all =
[
    .. Assembly.GetExecutingAssembly().GetTypes()
        .SelectMany(t => t.GetProperties(BindingFlags.Public | BindingFlags.Static))
        .Where(p => p.PropertyType == typeof(KernelBenchmark))
        .Select(p => (KernelBenchmark)p.GetValue(null)!)
        .OrderBy(b => b.Name, StringComparer.Ordinal).ThenBy(b => b.Shape, StringComparer.Ordinal),
];

bool list = args.Contains("--list");
bool smoke = args.Contains("--smoke");
string device = args.SkipWhile(a => a != "--device").Skip(1).FirstOrDefault() ?? "cpu";
string[] names = [.. args.Where((a, i) => !a.StartsWith('-') && (i == 0 || args[i - 1] != "--device"))];
string[] unknownOptions = [.. args.Where(a => a.StartsWith('-') && a is not ("--list" or "--smoke" or "--device"))];
string[] unknownNames = [.. names.Except(all.Select(b => b.Name))];
if (unknownOptions.Length + unknownNames.Length > 0 || device is not ("cpu" or "cuda"))
{
    Console.Error.WriteLine("usage: QwenIlgpu.Bench [--list] [--smoke] [--device cpu|cuda] [NAME …]");
    if (unknownNames.Length > 0)
        Console.Error.WriteLine($"no benchmark named {string.Join(", ", unknownNames)}; --list names them");
    return 2;
}

if (list)
{
    foreach (KernelBenchmark benchmark in all)
        Console.WriteLine($"{benchmark.Name,-32} {benchmark.Shape}");
    return 0;
}

int wrong = 0;
Console.WriteLine($"{"kernel",-32} {"shape",-40} {"median µs",12} {"min",10} {"max",10} {"GB/s",8} {"GFLOP/s",8} {"error",9}");
foreach (KernelBenchmark benchmark in all.Where(b => names.Length == 0 || names.Contains(b.Name)))
{
    using var bench = new BenchDevice(device);
    PreparedKernel kernel = benchmark.Prepare(bench);
    kernel.Launch.Run(bench.Stream);
    bench.Stream.Synchronize();
    double error = kernel.ErrorAgainstReference();
    if (!(error <= kernel.Tolerance))
    {
        Console.WriteLine($"{benchmark.Name,-32} {benchmark.Shape,-40} differs from its reference by {error:E2} (at most {kernel.Tolerance:E2}): not timed");
        wrong++;
        continue;
    }

    var times = new double[smoke ? 1 : 9];
    for (int i = 0; i < times.Length; i++)
    {
        long start = Stopwatch.GetTimestamp();
        kernel.Launch.Run(bench.Stream);
        bench.Stream.Synchronize();
        times[i] = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
    }

    Array.Sort(times);
    double median = times[times.Length / 2];
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{benchmark.Name,-32} {benchmark.Shape,-40} {median,12:F1} {times[0],10:F1} {times[^1],10:F1} {kernel.Bytes / median / 1e3,8:F2} {kernel.Flops / median / 1e3,8:F2} {error,9:E1}"));
}

return wrong == 0 ? 0 : 1;
