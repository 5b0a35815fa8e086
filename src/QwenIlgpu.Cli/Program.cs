using QwenIlgpu;
using QwenIlgpu.Cli;

using Terminal terminal = Terminal.OfProcess();
return await QwenCommand.RunAsync(args, terminal, QwenModel.LoadAsync, HuggingFaceCache.OfEnvironment());
