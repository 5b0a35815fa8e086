using System.Globalization;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Seeded random weights of a shape, made on the device: INT4 in groups of 128 for the linear layers inside the decoder layers, bf16 or
/// INT8 for embedding and head, bf16 for the delta gates' projections, floats for vectors. Deviations are 1/√K, so that every linear layer
/// hands unit rows on as unit rows, but for the head, whose logits get <see cref="LogitDeviation"/>.
/// </summary>
internal sealed class SyntheticWeights
{
    /// <summary>Standard deviation that logits of normed rows have: as sharp as those of a trained model, and far from overflow.</summary>
    public const double LogitDeviation = 3;

    private const int GroupSize = 128;

    // Scales are uniform within a quarter of their mean; the mean square of such a factor.
    private const double ScaleSpread = 0.25;
    private const double ScaleMeanSquare = 1 + (ScaleSpread * ScaleSpread / 3);

    private readonly QwenConfig config;
    private readonly ComputeDevice device;
    private readonly DeviceMemory memory;
    private readonly DeviceMemory vectors;
    private readonly HeadQuantization headQuantization;
    private readonly uint seed;
    private uint tensor;

    /// <summary>
    /// <paramref name="memory"/> takes matrices, <paramref name="vectors"/> the rest. Memory that only measures gets no contents: with such
    /// matrices and real vectors a step can be recorded though the weights would fit nowhere.
    /// </summary>
    public SyntheticWeights(
        QwenConfig config, ComputeDevice device, DeviceMemory memory, DeviceMemory vectors, HeadQuantization headQuantization, uint seed)
    {
        (this.config, this.device, this.memory, this.vectors) = (config, device, memory, vectors);
        (this.headQuantization, this.seed) = (headQuantization, seed);
    }

    public QwenWeights Create()
    {
        var rotary = RotaryTable.Build(config.MaxPositionEmbeddings, config.RotaryDim, config.RopeTheta).Upload(Upload);
        LinearWeight embed = Table("embed_tokens");
        LinearWeight head = config.TieWordEmbeddings ? embed : Table("lm_head");
        var layers = new QwenLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"layers.{i}");
            layers[i] = new QwenLayer(
                Norm(),
                config.LayerTypes[i] == LayerType.FullAttention ? Attention($"{prefix}.self_attn", rotary) : DeltaNet($"{prefix}.linear_attn"),
                Norm(),
                new FeedForward(
                    Linear($"{prefix}.mlp.gate_proj", config.IntermediateSize, config.HiddenSize),
                    Linear($"{prefix}.mlp.up_proj", config.IntermediateSize, config.HiddenSize),
                    Linear($"{prefix}.mlp.down_proj", config.HiddenSize, config.IntermediateSize)));
        }

        return new QwenWeights(embed, layers, Norm(), head);
    }

    private GatedAttention Attention(string prefix, RotaryView rotary) => new(
        Linear($"{prefix}.q_proj", 2 * config.QueryWidth, config.HiddenSize),
        Linear($"{prefix}.k_proj", config.KeyValueWidth, config.HiddenSize),
        Linear($"{prefix}.v_proj", config.KeyValueWidth, config.HiddenSize),
        Linear($"{prefix}.o_proj", config.HiddenSize, config.QueryWidth),
        Floats(config.HeadDim, 0, 0.1f),
        Floats(config.HeadDim, 0, 0.1f),
        new AttentionShape(config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim, config.RotaryDim), rotary, (float)config.RmsNormEps);

    // Decays of exp(g) from about 0.5 to 0.97 a token: states neither die out nor grow.
    private GatedDeltaNet DeltaNet(string prefix) => new(
        Linear($"{prefix}.in_proj_qkv", config.LinearConvChannels, config.HiddenSize),
        Linear($"{prefix}.in_proj_z", config.LinearValueWidth, config.HiddenSize),
        Bf16($"{prefix}.in_proj_b", config.LinearNumValueHeads, config.HiddenSize, 1),
        Bf16($"{prefix}.in_proj_a", config.LinearNumValueHeads, config.HiddenSize, 1),
        Linear($"{prefix}.out_proj", config.HiddenSize, config.LinearValueWidth),
        new DeltaParameters(
            new Matrix<float>(
                Floats(config.LinearConvChannels * config.LinearConvKernelDim, 0, 0.87f), config.LinearConvChannels, config.LinearConvKernelDim),
            Floats(config.LinearNumValueHeads, 0, 1),
            Floats(config.LinearNumValueHeads, -2, 1),
            Floats(config.LinearValueHeadDim, 1, 0.1f),
            (float)config.RmsNormEps),
        new DeltaShape(config.LinearNumKeyHeads, config.LinearNumValueHeads, config.LinearKeyHeadDim, config.LinearValueHeadDim));

    private NormWeight Norm() => new(Floats(config.HiddenSize, 0, 0.1f), (float)config.RmsNormEps);

    private LinearWeight Linear(string name, int rows, int columns)
    {
        var matrix = new Int4Matrix(
            memory.Allocate<UInt4>(Int4Matrix.CodeBytes(rows, columns, GroupSize) / 16),
            memory.Allocate<ushort>(Int4Matrix.ScaleBytes(rows, columns, GroupSize) / sizeof(ushort)),
            default, WeightType.Bf16, rows, columns, GroupSize);
        if (!memory.IsMeasuring)
        {
            RandomFill.BindCodes(device.Loader, matrix, NextSeed()).Run(device.Stream);
            FillScales(matrix.Scales, 1 / (RandomFill.Int4Deviation * Math.Sqrt(columns)));
        }

        return new LinearWeight(name, matrix);
    }

    // The embedding may be the head, so both have the head's deviation.
    private LinearWeight Table(string name)
    {
        (int rows, int columns) = (config.VocabSize, config.HiddenSize);
        if (headQuantization != HeadQuantization.Int8)
            return Bf16(name, rows, columns, LogitDeviation);
        var matrix = new Int8Matrix(
            memory.Allocate<UInt4>(Int8Matrix.CodeBytes(rows, columns, GroupSize) / 16),
            memory.Allocate<ushort>(Int8Matrix.ScaleBytes(rows, columns, GroupSize) / sizeof(ushort)),
            WeightType.Bf16, rows, columns, GroupSize);
        if (!memory.IsMeasuring)
        {
            RandomFill.BindCodes(device.Loader, matrix, NextSeed()).Run(device.Stream);
            FillScales(matrix.Scales, LogitDeviation / (RandomFill.Int8Deviation * Math.Sqrt(columns)));
        }

        return new LinearWeight(name, matrix);
    }

    private LinearWeight Bf16(string name, int rows, int columns, double gain)
    {
        var matrix = new DenseMatrix(
            WeightType.Bf16, memory.Allocate<UInt4>(DenseMatrix.BytesFor(WeightType.Bf16, rows, columns) / 16), rows, columns);
        if (!memory.IsMeasuring)
        {
            RandomFill.BindBf16(device.Loader, matrix.Data, NextSeed(), 0, (float)(gain * Math.Sqrt(3.0 / columns))).Run(device.Stream);
        }

        return new LinearWeight(name, matrix);
    }

    private void FillScales(ArrayView<ushort> scales, double rootMeanSquare)
    {
        double centre = rootMeanSquare / Math.Sqrt(ScaleMeanSquare);
        RandomFill.BindBf16(device.Loader, scales.Cast<UInt4>(), NextSeed(), (float)centre, (float)(ScaleSpread * centre)).Run(device.Stream);
    }

    private ArrayView<float> Floats(int count, float centre, float halfWidth) => vectors.IsMeasuring
        ? vectors.Allocate<float>(count)
        : Upload(RandomFill.Floats(count, NextSeed(), centre, halfWidth));

    private ArrayView<float> Upload(float[] values)
    {
        ArrayView<float> view = vectors.Allocate<float>(values.Length);
        if (!vectors.IsMeasuring)
            view.CopyFromCPU(device.Stream, values);
        return view;
    }

    private ulong NextSeed() => ((ulong)++tensor << 32) | seed;
}
