using QwenIlgpu.Bench;

try
{
    return args switch
    {
        ["host", .. string[] rest] => HostBenchmarks.Run(rest),
        ["report", .. string[] rest] => ReportCommand.Run(rest, Console.Out, Console.Error),
        ["gguf", .. string[] rest] => GgufCommand.Run(rest, Console.Out, Console.Error),
        _ => KernelBenchmarks.Run(args, KernelBenchmarks.All, Console.Out, Console.Error),
    };
}
catch (Exception e) when (e is InvalidOperationException or IOException or ArgumentException)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
