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
            long weightBytes = Measure(config, device, headQuantization).WeightBytes;
            DeviceRoom.Of(device).RequireWeights(name, weightBytes);
            memory.Reserve(weightBytes);
            QwenWeights weights = Build(config, new SyntheticWeights(device, memory, memory, headQuantization, seed));
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
    public static QwenModel CreateUnfilled(
        string name, QwenConfig config, ComputeDevice device, HeadQuantization headQuantization,
        WeightQuantization quantization = WeightQuantization.Int4)
    {
        var memory = new DeviceMemory(device);
        using var measuring = new DeviceMemory(device) { IsMeasuring = true };
        QwenWeights weights = Build(config, new SyntheticWeights(device, measuring, memory, headQuantization, 0, quantization));
        return new QwenModel(name, device, memory, weights, config, NullLoggerFactory.Instance);
    }

    /// <summary>What a shape takes of a device.</summary>
    public static ModelFootprint Measure(
        QwenConfig config, ComputeDevice device, HeadQuantization headQuantization, WeightQuantization quantization = WeightQuantization.Int4)
    {
        using var measuring = new DeviceMemory(device) { IsMeasuring = true };
        QwenWeights weights = Build(config, new SyntheticWeights(device, measuring, measuring, headQuantization, 0, quantization));
        return new ModelFootprint(measuring.AllocatedBytes, weights.BytesPerToken);
    }

    private static QwenWeights Build(QwenConfig config, SyntheticWeights source) => new LayerBuilder(config, source).Build();
}
