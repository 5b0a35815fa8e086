using QwenIlgpu.Bench;

try
{
    return args is ["host", .. string[] rest] ? HostBenchmarks.Run(rest) : KernelBenchmarks.Run(args, KernelBenchmarks.All, Console.Out, Console.Error);
}
catch (InvalidOperationException e)
{
    Console.Error.WriteLine(e.Message);
    return 1;
}
