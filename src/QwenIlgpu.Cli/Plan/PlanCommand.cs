using System.CommandLine;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Cli.Plan;

/// <summary>`qwen info --plan`: what a model and an engine would take of a device, before anything is loaded.</summary>
internal sealed class PlanCommand(PlanArguments arguments, CommonOptions common, Terminal terminal)
{
    /// <param name="parse">The arguments.</param>
    /// <param name="load">How the model would be loaded.</param>
    /// <param name="engine">The engine that would be made of it; its context and sequences are the plan's own.</param>
    public async Task RunAsync(ParseResult parse, ModelOptions load, EngineOptions engine)
    {
        if (parse.GetValue(arguments.Picture) is { } picture && parse.GetValue(arguments.Synthetic) is null)
            ProtectedInputs.Refuse("--plan-picture", picture, ModelDirectory.Resolve(parse, common, terminal));
        (ComputeDevice device, DeviceRoom memory) = Open(parse);
        (QwenModel model, long weightBytes) = OpenModel(parse, load, device);
        await using (model.ConfigureAwait(false))
        {
            if (engine.ContextTokens > model.MaxContextTokens)
                throw new UsageException($"--context is {engine.ContextTokens}; this model was made for at most {model.MaxContextTokens} tokens");
            int sequences = parse.GetValue(arguments.Sequences);
            EngineCapacity capacity = (engine with { MaxSequences = sequences }).Resolve(model.Config);
            capacity = capacity with { Pages = checked((sequences * capacity.PagesPerSequence) + 1) };
            var report = new PlanReport(model, new MemoryPlanner(model, weightBytes, memory), memory, capacity);
            if (parse.GetValue(arguments.Picture) is { } file)
            {
                OutputFile.WriteText(file, PlanPicture.Draw(report.Title, report.Plan));
                terminal.Note($"wrote {file}");
            }

            if (parse.GetValue(common.Json))
                terminal.WriteJson(report.ToJson());
            else
                report.Write(terminal.Output);
        }
    }

    // A GPU that need not be here is stood in for by a device that records steps as a GPU runs them.
    private (ComputeDevice Device, DeviceRoom Memory) Open(ParseResult parse)
    {
        if (parse.GetValue(arguments.GpuMemory) is { } bytes)
            return (ComputeDevice.OpenCpu(recordsWarpKernels: true), DeviceRoom.OfCard(bytes));
        ComputeDevice device = ComputeDevice.Open(
            parse.GetValue(common.Device), measure: null, terminal.Note, ModelArguments.KernelCache, parse.GetValue(common.Threads));
        return (device, DeviceRoom.Of(device));
    }

    private (QwenModel Model, long WeightBytes) OpenModel(ParseResult parse, ModelOptions load, ComputeDevice device)
    {
        try
        {
            if (parse.GetValue(arguments.Synthetic) is not { } name)
            {
                var model = QwenModel.OpenUnfilled(ModelDirectory.Resolve(parse, common, terminal), load, device, terminal.Note);
                return (model, model.WeightBytes);
            }

            QwenConfig config = SyntheticShape.Of(name);
            return (
                SyntheticModel.CreateUnfilled($"synthetic {name}", config, device, load.HeadQuantization, load.Quantization),
                SyntheticModel.Measure(config, device, load.HeadQuantization, load.Quantization).WeightBytes);
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }
}
