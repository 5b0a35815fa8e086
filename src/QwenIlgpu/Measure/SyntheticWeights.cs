using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Seeded random weights of a shape, made on the device: INT4 in groups of 128, or bf16, for the linear layers inside the decoder layers, bf16 or
/// INT8 for embedding and head, bf16 for the delta gates' projections, floats for vectors. Deviations are 1/√K, so that every linear layer
/// hands unit rows on as unit rows, but for the head, whose logits get <see cref="LogitDeviation"/>.
/// </summary>
internal sealed class SyntheticWeights : IWeightSource
{
    /// <summary>Standard deviation that logits of normed rows have: as sharp as those of a trained model, and far from overflow.</summary>
    public const double LogitDeviation = 3;

    private const int GroupSize = 128;

    // Scales are uniform within a quarter of their mean; the mean square of such a factor.
    private const double ScaleSpread = 0.25;
    private const double ScaleMeanSquare = 1 + (ScaleSpread * ScaleSpread / 3);

    private readonly ComputeDevice device;
    private readonly DeviceMemory memory;
    private readonly DeviceMemory vectors;
    private readonly HeadQuantization headQuantization;
    private readonly WeightQuantization quantization;
    private readonly uint seed;
    private uint tensor;

    /// <summary>
    /// <paramref name="memory"/> takes matrices, <paramref name="vectors"/> the rest. Memory that only measures gets no contents: with such
    /// matrices and real vectors a step can be recorded though the weights would fit nowhere.
    /// </summary>
    public SyntheticWeights(
        ComputeDevice device, DeviceMemory memory, DeviceMemory vectors, HeadQuantization headQuantization, uint seed,
        WeightQuantization quantization = WeightQuantization.Int4)
    {
        (this.device, this.memory, this.vectors) = (device, memory, vectors);
        (this.headQuantization, this.seed, this.quantization) = (headQuantization, seed, quantization);
    }

    // The embedding may be the head, so both have the head's deviation.
    public LinearWeight Matrix(MatrixModule module) => module.Use switch
    {
        MatrixUse.Projection when quantization == WeightQuantization.Int4 => Codes(
            module, WeightMatrix.Int4(WeightType.Bf16, module.Rows, module.Columns, GroupSize), RandomFill.Int4Deviation, 1),
        MatrixUse.Projection or MatrixUse.Gate => Bf16(module, 1),
        _ when headQuantization == HeadQuantization.Int8 => Codes(
            module, WeightMatrix.Int8(WeightType.Bf16, module.Rows, module.Columns, GroupSize), RandomFill.Int8Deviation,
            LogitDeviation),
        _ => Bf16(module, LogitDeviation),
    };

    // Decays of exp(g) from about 0.5 to 0.97 a token: states neither die out nor grow.
    public ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape)
    {
        int count = 1;
        foreach (long extent in shape)
            count *= checked((int)extent);
        (float centre, float halfWidth) = use switch
        {
            VectorUse.Conv1d => (0, 0.87f),
            VectorUse.ALog => (0, 1),
            VectorUse.DtBias => (-2, 1),
            VectorUse.Norm => (1, 0.1f),
            _ => (0, 0.1f),
        };
        return vectors.IsMeasuring ? vectors.Allocate<float>(count) : Upload(RandomFill.Floats(count, NextSeed(), centre, halfWidth));
    }

    public RotaryView Rotary(QwenConfig config) =>
        RotaryTable.Build(config.MaxPositionEmbeddings, config.RotaryDim, config.RopeTheta, config.Yarn).Upload(Upload);

    // Codes of that deviation, and scales that make weights of gain / √K of them.
    private LinearWeight Codes(MatrixModule module, WeightMatrix like, double codeDeviation, double gain)
    {
        WeightMatrix matrix = memory.Allocate(like);
        if (!memory.IsMeasuring)
        {
            RandomFill.BindCodes(device.Loader, matrix, NextSeed()).Run(device.Stream);
            FillScales(matrix.Scales, gain / (codeDeviation * Math.Sqrt(module.Columns)));
        }

        return new LinearWeight(module.Name, matrix);
    }

    private LinearWeight Bf16(MatrixModule module, double gain)
    {
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Dense(WeightType.Bf16, module.Rows, module.Columns));
        if (!memory.IsMeasuring)
        {
            RandomFill.BindBf16(device.Loader, matrix.Data, NextSeed(), 0, (float)(gain * Math.Sqrt(3.0 / module.Columns)))
                .Run(device.Stream);
        }

        return new LinearWeight(module.Name, matrix);
    }

    private void FillScales(ArrayView<ushort> scales, double rootMeanSquare)
    {
        double centre = rootMeanSquare / Math.Sqrt(ScaleMeanSquare);
        RandomFill.BindBf16(device.Loader, scales.Cast<UInt4>(), NextSeed(), (float)centre, (float)(ScaleSpread * centre)).Run(device.Stream);
    }

    private ArrayView<float> Upload(float[] values)
    {
        ArrayView<float> view = vectors.Allocate<float>(values.Length);
        if (!vectors.IsMeasuring)
            view.CopyFromCPU(device.Stream, values);
        return view;
    }

    private ulong NextSeed() => ((ulong)++tensor << 32) | seed;
}
