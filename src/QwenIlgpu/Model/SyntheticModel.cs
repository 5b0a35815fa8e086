using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace QwenIlgpu;

/// <summary>Models without a checkpoint: a published shape, or a cut of it, with random weights. They have no tokenizer.</summary>
internal static class SyntheticModel
{
    /// <summary>Makes the weights on the device, which the model owns from now on.</summary>
    public static QwenModel Create(
        string name, QwenConfig config, ComputeDevice device, HeadQuantization headQuantization, uint seed, ILoggerFactory? loggers = null)
    {
        var memory = new DeviceMemory(device);
        try
        {
            memory.Reserve(WeightBytes(config, device, headQuantization));
            QwenWeights weights = new SyntheticWeights(config, device, memory, memory, headQuantization, seed).Create();
            device.Synchronize();
            return new QwenModel(name, device, memory, weights, config, loggers ?? NullLoggerFactory.Instance);
        }
        catch
        {
            memory.Dispose();
            device.Dispose();
            throw;
        }
    }

    /// <summary>Weights for recording steps, of which only the vectors are there.</summary>
    public static QwenModel CreateUnfilled(string name, QwenConfig config, ComputeDevice device, HeadQuantization headQuantization)
    {
        var memory = new DeviceMemory(device);
        using var measuring = new DeviceMemory(device) { IsMeasuring = true };
        QwenWeights weights = new SyntheticWeights(config, device, measuring, memory, headQuantization, 0).Create();
        return new QwenModel(name, device, memory, weights, config, NullLoggerFactory.Instance);
    }

    /// <summary>Bytes on the device of a shape's weights.</summary>
    public static long WeightBytes(QwenConfig config, ComputeDevice device, HeadQuantization headQuantization) => DeviceMemory.Measure(
        device, measuring => _ = new SyntheticWeights(config, device, measuring, measuring, headQuantization, 0).Create());
}
