using System.Diagnostics;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>Why a device is refused, and what is said of one that is not.</summary>
[NonParallelizable]
internal sealed class ProbeTests
{
    private static readonly GpuArchitecture Turing = GpuArchitecture.Sm80 with { Major = 7, Minor = 5 };

    private static readonly TestCaseData[] Refusals =
    [
        Refused("init 100", o => o with { InitResult = 100 }, "refused to start: no CUDA-capable device is detected (error 100)"),
        Refused("init 803", o => o with { InitResult = 803 }, "restart after an update"),
        Refused("init 7", o => o with { InitResult = 7 }, "(error 7)"),
        Refused("driver 11.4", o => o with { DriverVersion = 11040 }, "the driver is for CUDA 11.4, and 11.8 or later is needed"),
        Refused("no device", o => o with { Devices = 0 }, "lists no device"),
        Refused("sm_75", o => o with { Architecture = Turing }, "its architecture is sm_75, and the kernels need sm_80"),
        Refused("prohibited", o => o with { IsProhibited = true }, "compute mode is 'prohibited'"),
    ];

    [TearDown]
    public void Restore() => CudaProbe.Run();

    [Test]
    public void DescribesEveryDevice()
    {
        CudaProbe probe = CudaProbe.Run();

        Assert.That(probe.Refusal, Is.Null);
        Assert.That(probe.DriverText, Is.EqualTo("12.8"));
        Assert.That(probe.Devices, Has.Count.EqualTo(2));
        var expected = new CudaDeviceReport(1, "Stand-in GPU 1", 9, 0, 24L << 30, 132, 48 << 10, 227 << 10, 228 << 10, 50 << 20, null);
        Assert.That(probe.Devices[1], Is.EqualTo(expected));
        Assert.That(probe.Devices[1].Architecture, Is.EqualTo("sm_90"));
    }

    [TestCaseSource(nameof(Refusals))]
    public void RefusalNamesItsCause(Func<DriverOptions, DriverOptions> change, string cause)
    {
        using IDisposable _ = StandIn.With(change);

        Assert.That(CudaProbe.Run().FirstUsable().Refusal, Does.Contain(cause));
        Assert.That(() => ComputeDevice.OpenCuda(0, kernelCacheDirectory: null), Throws.TypeOf<NotSupportedException>().With.Message.Contains(cause).And.Message.Contains("--device cpu"));
    }

    [Test]
    public void MissingDriverIsNamed() =>
        Assert.That(CudaProbe.Run("libcuda-that-is-not-there.so.1").Refusal, Is.EqualTo("the CUDA driver library (libcuda-that-is-not-there.so.1) is not installed"));

    [Test]
    public void DeviceBeyondTheLastIsRefused() => Assert.That(
        () => ComputeDevice.OpenCuda(2, kernelCacheDirectory: null), Throws.TypeOf<NotSupportedException>().With.Message.Contains("device 2 is not there: the driver lists 2 (cuda:0 to cuda:1)"));

    [Test]
    public void AutoTakesTheCpuAndSaysWhy()
    {
        using IDisposable _ = StandIn.With(o => o with { Architecture = Turing });
        string said = "";

        using ComputeDevice device = ComputeDevice.Open(DeviceSelection.Auto, _ => new ModelFootprint(1000, 1000), notice => said = notice);

        Assert.That(device.IsCpu);
        Assert.That(said, Does.Contain("cuda:0, Stand-in GPU 0, is refused").And.Contain("cuda:1"));
    }

    [TestCase("2", "cuda:1", "works", null)]
    [TestCase("0", "cuda", null, "the CUDA driver lists no device (is CUDA_VISIBLE_DEVICES empty?)")]
    public async Task DoctorSaysWhatTheDriverDoes(string devices, string device, string? state, string? why)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Cli.BuildVersion).Assembly.Location, "doctor", "--json", "--device", device])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_STARTUP_HOOKS"] = typeof(Machine).Assembly.Location;
        start.Environment["PTX_MACHINE_DEVICES"] = devices;
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        // A report of what does not work is part of the error.
        JsonNode report = why is null ? JsonNode.Parse(output)! : JsonNode.Parse(await error)!["report"]!;
        JsonNode? entry = report["devices"]!.AsArray().FirstOrDefault(d => (string?)d!["kind"] == device);
        Assert.That((string?)entry?["state"], Is.EqualTo(state));
        Assert.That((string?)report["why_no_gpu"], Is.EqualTo(why));
        Assert.That(process.ExitCode, Is.EqualTo(why is null ? 0 : 1));
    }

    private static TestCaseData Refused(string name, Func<DriverOptions, DriverOptions> change, string cause) =>
        new TestCaseData(change, cause).SetArgDisplayNames(name);
}
