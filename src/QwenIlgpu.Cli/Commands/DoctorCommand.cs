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

    public static Command Create(CommonOptions common, Terminal terminal)
    {
        var command = new Command("doctor", "Say which devices there are, why a GPU is not used, and which versions run.");
        command.SetAction(parse =>
        {
            DeviceChoice choice = parse.GetValue(common.Device);
            var report = new JsonObject
            {
                ["versions"] = Versions(),
                ["machine"] = Machine(),
            };
            bool gpuWorks = DescribeDevices(report, choice);
            bool modelOpens = DescribeModel(report, ModelDirectory.Resolve(parse, common, terminal), choice, gpuWorks);
            if (parse.GetValue(common.Json))
                terminal.WriteJson(report);
            else
                JsonTable.Write(terminal.Output, report);
            return modelOpens && (choice != DeviceChoice.Cuda || gpuWorks) ? ExitCode.Done : ExitCode.Failed;
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

    private static bool DescribeDevices(JsonObject report, DeviceChoice choice)
    {
        CudaProbe probe = CudaProbe.Run();
        report["cuda_driver"] = probe.DriverVersion > 0 ? probe.DriverText : null;
        var devices = new JsonArray();
        foreach (CudaDeviceReport device in probe.Devices)
        {
            devices.Add(new JsonObject
            {
                ["name"] = device.Name,
                ["kind"] = "cuda",
                ["capability"] = $"sm_{device.Major}{device.Minor}",
                ["memory_bytes"] = device.MemoryBytes,
                ["state"] = devices.Count == 0 ? TryDevice(() => ComputeDevice.OpenCuda(kernelCacheDirectory: null)) : "not used: only the first device is",
            });
        }

        devices.Add(new JsonObject
        {
            ["name"] = "CPU accelerator",
            ["kind"] = "cpu",
            ["capability"] = "tests and debugging",
            ["memory_bytes"] = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
            ["state"] = TryDevice(ComputeDevice.OpenCpu),
        });
        report["devices"] = devices;
        bool works = probe.Refusal is null && (string?)devices[0]!["state"] == Works;
        report["why_no_gpu"] = works ? null
            : probe.Refusal ?? $"the device is there but fails: {(string?)devices[0]!["state"]}";
        if (works && choice == DeviceChoice.Cpu)
            report["why_no_gpu"] = "--device cpu was asked for";
        return works;
    }

    private const string Works = "works";

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

    private static bool DescribeModel(JsonObject report, string directory, DeviceChoice choice, bool gpuWorks)
    {
        var model = new JsonObject { ["directory"] = directory };
        report["model"] = model;
        try
        {
            using Checkpoint checkpoint = Checkpoint.Open(directory);
            model["state"] = "opens";
            model["weight_bytes"] = checkpoint.WeightBytes;
            model["runs_on"] = choice switch
            {
                DeviceChoice.Cpu => "cpu",
                _ when gpuWorks => "cuda",
                DeviceChoice.Cuda => "nothing: there is no working GPU",
                _ when checkpoint.WeightBytes <= ComputeDevice.LargestCpuModelBytes => "cpu",
                _ => "nothing: there is no working GPU, and the model is too large for the CPU unless --device cpu asks for it",
            };
            return true;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or NotSupportedException or UnauthorizedAccessException)
        {
            model["state"] = e.Message;
            return false;
        }
    }
}
