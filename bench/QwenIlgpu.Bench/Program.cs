using QwenIlgpu.Bench;

return args is ["host", .. string[] rest] ? HostBenchmarks.Run(rest) : KernelBenchmarks.Run(args, KernelBenchmarks.All, Console.Out, Console.Error);
