using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Cli.Commands;

/// <summary>`qwen doctor`: what this machine has, and why a GPU is not used.</summary>
internal static class DoctorCommand
{
    public const string Examples =
        """
        qwen doctor
        qwen doctor --device cuda --json
        """;

    private const string Works = "works";
    private const string Opens = "opens";
    private const string Cpu = "cpu";

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("doctor", "Say which devices there are, why a GPU is not used, and which versions run; with --device, of that device alone.");
        command.SetAction(parse =>
        {
            DeviceSelection selection = parse.GetValue(common.Device);
            var report = new JsonObject { ["versions"] = Versions(), ["machine"] = Machine() };
            bool gpuWorks = DescribeDevices(report, selection);
            using ComputeDevice cpuDevice = ComputeDevice.OpenCpu(parse.GetValue(common.Threads));
            CpuReport? cpu = selection.Kind == DeviceKind.Cuda ? null : new CpuReport(cpuDevice);
            if (cpu is not null)
                report["cpu"] = cpu.ToJson();
            JsonObject model = DescribeModel(ModelDirectory.Resolve(parse, common, terminal), selection, gpuWorks, cpuDevice, cpu, terminal);
            report["model"] = model;
            string? fault = (string)model["state"]! is var state && state != Opens ? state
                : selection.Kind == DeviceKind.Cuda && !gpuWorks ? $"--device {selection} cannot be used: {report["why_no_gpu"]}" : null;
            bool json = parse.GetValue(common.Json);
            if (!json)
                JsonTable.Write(terminal.Output, report);
            else if (fault is null)
                terminal.WriteJson(report);
            return fault is null ? ExitCode.Done : throw new DiagnosisException(fault, report);
        });
        return command;
    }

    private static JsonObject Versions() => new()
    {
        ["qwen"] = BuildVersion.Version,
        ["commit"] = BuildVersion.Commit,
        ["dotnet"] = Environment.Version.ToString(),
        ["ilgpu"] = typeof(Context).Assembly.GetName().Version?.ToString(3),
    };

    private static JsonObject Machine() => new()
    {
        ["system"] = RuntimeInformation.OSDescription,
        ["architecture"] = RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant(),
        ["processors"] = Environment.ProcessorCount,
        ["memory_bytes"] = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
    };

    // A device that is asked for is described alone. Whether a GPU works.
    private static bool DescribeDevices(JsonObject report, DeviceSelection selection)
    {
        var devices = new JsonArray();
        bool works = selection.Kind != DeviceKind.Cpu && DescribeGpus(report, devices, selection);
        if (selection.Kind != DeviceKind.Cuda)
        {
            devices.Add(new JsonObject
            {
                ["name"] = CpuReport.Name,
                ["kind"] = Cpu,
                ["capability"] = CpuReport.Instructions,
                ["memory_bytes"] = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
                ["state"] = TryDevice(() => ComputeDevice.OpenCpu()),
            });
        }

        report["devices"] = devices;
        return works;
    }

    private static bool DescribeGpus(JsonObject report, JsonArray devices, DeviceSelection selection)
    {
        CudaProbe probe = CudaProbe.Run();
        int chosen = selection.Kind == DeviceKind.Cuda ? selection.Ordinal : probe.FirstUsable().Ordinal;
        string? refusal = probe.RefusalOf(chosen);
        string? failure = null;
        foreach (CudaDeviceReport device in probe.Devices.Where(d => selection.Kind != DeviceKind.Cuda || d.Ordinal == chosen))
        {
            string state = device.Refusal ?? $"not tried; --device cuda:{device.Ordinal} takes it";
            if (device.Ordinal == chosen && refusal is null)
            {
                state = TryDevice(() => ComputeDevice.OpenCuda(chosen, kernelCacheDirectory: null));
                failure = state == Works ? null : state;
            }

            devices.Add(new JsonObject
            {
                ["name"] = device.Name,
                ["kind"] = $"cuda:{device.Ordinal}",
                ["capability"] = device.Architecture,
                ["memory_bytes"] = device.MemoryBytes,
                ["multiprocessors"] = device.Multiprocessors,
                ["l2_bytes"] = device.L2Bytes,
                ["shared_bytes_per_block"] = device.SharedBytesPerBlock,
                ["shared_bytes_per_block_opt_in"] = device.SharedBytesPerBlockOptIn,
                ["shared_bytes_per_multiprocessor"] = device.SharedBytesPerMultiprocessor,
                ["state"] = state,
            });
        }

        report["cuda_driver"] = probe.DriverVersion > 0 ? probe.DriverText : null;
        report["why_no_gpu"] = refusal ?? (failure is null ? null : $"cuda:{chosen} is there but fails: {failure}");
        return refusal is null && failure is null;
    }

    private static string TryDevice(Func<ComputeDevice> open)
    {
        try
        {
            using ComputeDevice device = open();
            using var memory = new DeviceMemory(device);
            ArrayView<int> view = memory.AllocateZeroed<int>(1024);
            int[] sent = [.. Enumerable.Range(0, 1024)];
            int[] returned = new int[1024];
            view.CopyFromCPU(device.Stream, sent);
            view.CopyToCPU(device.Stream, returned);
            device.Synchronize();
            return sent.AsSpan().SequenceEqual(returned) ? Works : "does not return what was sent to it";
        }
#pragma warning disable CA1031 // A diagnosis reports whatever goes wrong.
        catch (Exception e)
#pragma warning restore CA1031
        {
            return ErrorText.Of(e);
        }
    }

    private static JsonObject DescribeModel(
        string directory, DeviceSelection selection, bool gpuWorks, ComputeDevice cpuDevice, CpuReport? cpu, Terminal terminal)
    {
        var model = new JsonObject { ["directory"] = directory };
        try
        {
            using Checkpoint checkpoint = Checkpoint.Open(directory);
            ModelFootprint footprint = CheckpointWeights.Measure(checkpoint, cpuDevice, new ModelOptions());
            model["state"] = Opens;
            model["weight_bytes"] = checkpoint.WeightBytes;
            model["chat_template"] = InfoCommand.TemplateOf(directory, terminal, out AnswerShape? answer);
            model["answer"] = answer?.ToJson();
            string runsOn = RunsOn(selection, gpuWorks, cpu is not null && CpuChoice.Fits(footprint.WeightBytes, cpu.AvailableBytes));
            model["runs_on"] = runsOn;
            if (cpu is not null && runsOn == Cpu && CpuChoice.Speed(footprint, () => cpu.BytesPerSecond) is { } speed)
                model["speed"] = speed;
        }
        catch (Exception e) when (CheckpointFile.IsFault(e))
        {
            model["state"] = e.Message;
        }

        return model;
    }

    private static string RunsOn(DeviceSelection selection, bool gpuWorks, bool fitsCpu) => selection.Kind switch
    {
        DeviceKind.Cpu => Cpu,
        _ when gpuWorks => "cuda",
        DeviceKind.Cuda => "nothing: there is no working GPU",
        _ when fitsCpu => Cpu,
        _ => "nothing: there is no working GPU, and memory does not hold the weights and some room; --device cpu tries all the same",
    };
}
