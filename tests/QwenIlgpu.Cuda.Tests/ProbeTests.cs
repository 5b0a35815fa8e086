using System.Diagnostics;
using System.Text.Json.Nodes;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>Why a device is refused, and what is said of one that is not.</summary>
[NonParallelizable]
internal sealed class ProbeTests
{
    private static readonly string[] Settings = ["STANDIN_INIT", "STANDIN_DRIVER", "STANDIN_DEVICES", "STANDIN_CAPABILITY", "STANDIN_PROHIBITED"];

    [TearDown]
    public void Restore()
    {
        foreach (string setting in Settings)
            StandIn.Set(setting, null);
        CudaProbe.Run();
    }

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

    [TestCase("STANDIN_INIT", "100", "refused to start: no CUDA-capable device is detected (error 100)")]
    [TestCase("STANDIN_INIT", "803", "restart after an update")]
    [TestCase("STANDIN_INIT", "7", "(error 7)")]
    [TestCase("STANDIN_DRIVER", "11040", "the driver is for CUDA 11.4, and 11.8 or later is needed")]
    [TestCase("STANDIN_DEVICES", "0", "lists no device")]
    [TestCase("STANDIN_CAPABILITY", "75", "its architecture is sm_75, and the kernels need sm_80")]
    [TestCase("STANDIN_PROHIBITED", "1", "compute mode is 'prohibited'")]
    public void RefusalNamesItsCause(string setting, string value, string cause)
    {
        StandIn.Set(setting, value);

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
        StandIn.Set("STANDIN_CAPABILITY", "75");
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
        start.Environment["LD_LIBRARY_PATH"] = StandIn.Folder;
        start.Environment["STANDIN_DEVICES"] = devices;
        using Process process = Process.Start(start)!;
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();

        JsonNode report = JsonNode.Parse(output)!;
        JsonNode? entry = report["devices"]!.AsArray().FirstOrDefault(d => (string?)d!["kind"] == device);
        Assert.That((string?)entry?["state"], Is.EqualTo(state));
        Assert.That((string?)report["why_no_gpu"], Is.EqualTo(why));
        Assert.That(process.ExitCode, Is.EqualTo(why is null ? 0 : 1));
    }
}
