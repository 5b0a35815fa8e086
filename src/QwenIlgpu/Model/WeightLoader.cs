using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Brings a checkpoint's tensors to the device in blocks of bounded size: plain weights as they are, GPTQ weights and weights to
/// quantise through packing kernels, small vectors as float.
/// </summary>
internal sealed class WeightLoader
{
    private const int BlockBytes = 16 << 20;

    private readonly Checkpoint checkpoint;
    private readonly ComputeDevice device;
    private readonly DeviceMemory memory;
    private readonly WeightQuantization quantization;
    private readonly IProgress<LoadProgress>? progress;
    private readonly CancellationToken cancellation;
    private readonly byte[] block;
    private readonly DeviceMemory staging;
    private readonly ArrayView<byte> deviceBlock;
    private long loadedBytes;

    public WeightLoader(
        Checkpoint checkpoint, ComputeDevice device, DeviceMemory memory, DeviceMemory staging, WeightQuantization quantization,
        IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        (this.checkpoint, this.device, this.memory, this.staging) = (checkpoint, device, memory, staging);
        (this.quantization, this.progress, this.cancellation) = (quantization, progress, cancellation);
        block = new byte[BlockBytes];
        deviceBlock = staging.Allocate<byte>(BlockBytes);
    }

    public QwenWeights Load()
    {
        QwenConfig config = checkpoint.Config;
        RotaryView rotary = LoadRotary(config);
        LinearWeight embed = Table("embed_tokens", config.VocabSize, config.HiddenSize);
        LinearWeight head = config.TieWordEmbeddings ? embed : Stored("lm_head", config.VocabSize, config.HiddenSize);
        var layers = new QwenLayer[config.NumHiddenLayers];
        for (int i = 0; i < layers.Length; i++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"layers.{i}");
            layers[i] = new QwenLayer(
                Norm($"{prefix}.input_layernorm", config.HiddenSize),
                config.LayerTypes[i] == LayerType.FullAttention ? Attention($"{prefix}.self_attn", rotary) : DeltaNet($"{prefix}.linear_attn"),
                Norm($"{prefix}.post_attention_layernorm", config.HiddenSize),
                new FeedForward(
                    Linear($"{prefix}.mlp.gate_proj", config.IntermediateSize, config.HiddenSize),
                    Linear($"{prefix}.mlp.up_proj", config.IntermediateSize, config.HiddenSize),
                    Linear($"{prefix}.mlp.down_proj", config.HiddenSize, config.IntermediateSize)));
        }

        return new QwenWeights(embed, layers, Norm("norm", config.HiddenSize), head);
    }

    private GatedAttention Attention(string prefix, RotaryView rotary)
    {
        QwenConfig c = checkpoint.Config;
        int queryWidth = c.NumAttentionHeads * c.HeadDim;
        int kvWidth = c.NumKeyValueHeads * c.HeadDim;
        return new GatedAttention(
            Linear($"{prefix}.q_proj", 2 * queryWidth, c.HiddenSize),
            Linear($"{prefix}.k_proj", kvWidth, c.HiddenSize),
            Linear($"{prefix}.v_proj", kvWidth, c.HiddenSize),
            Linear($"{prefix}.o_proj", c.HiddenSize, queryWidth),
            Floats($"{prefix}.q_norm.weight", c.HeadDim),
            Floats($"{prefix}.k_norm.weight", c.HeadDim),
            new AttentionShape(c.NumAttentionHeads, c.NumKeyValueHeads, c.HeadDim, c.RotaryDim), rotary, (float)c.RmsNormEps);
    }

    private GatedDeltaNet DeltaNet(string prefix)
    {
        QwenConfig c = checkpoint.Config;
        int valueWidth = c.LinearNumValueHeads * c.LinearValueHeadDim;
        int channels = c.LinearConvChannels;
        return new GatedDeltaNet(
            Linear($"{prefix}.in_proj_qkv", channels, c.HiddenSize),
            Linear($"{prefix}.in_proj_z", valueWidth, c.HiddenSize),
            Stored($"{prefix}.in_proj_b", c.LinearNumValueHeads, c.HiddenSize),
            Stored($"{prefix}.in_proj_a", c.LinearNumValueHeads, c.HiddenSize),
            Linear($"{prefix}.out_proj", c.HiddenSize, valueWidth),
            new Matrix<float>(Floats($"{prefix}.conv1d.weight", channels, 1, c.LinearConvKernelDim), channels, c.LinearConvKernelDim),
            Floats($"{prefix}.A_log", c.LinearNumValueHeads),
            Floats($"{prefix}.dt_bias", c.LinearNumValueHeads),
            Floats($"{prefix}.norm.weight", c.LinearValueHeadDim),
            new DeltaShape(c.LinearNumKeyHeads, c.LinearNumValueHeads, c.LinearKeyHeadDim, c.LinearValueHeadDim), (float)c.RmsNormEps);
    }

    private NormWeight Norm(string module, int width) => new(Floats($"{module}.weight", width), (float)checkpoint.Config.RmsNormEps);

    /// <summary>A linear layer in the encoding of its module, or quantised on load where that was asked for.</summary>
    private LinearWeight Linear(string module, int rows, int columns) => checkpoint.Describe(module, rows, columns) switch
    {
        PlainModule plain when quantization == WeightQuantization.Int4 => Quantize(module, plain.Weight, rows, columns),
        ModuleEncoding encoding => Load(module, encoding, rows, columns),
    };

    /// <summary>A linear layer in the encoding of its module, never quantised on load: the head and the gates' projections.</summary>
    private LinearWeight Stored(string module, int rows, int columns) =>
        Load(module, checkpoint.Describe(module, rows, columns), rows, columns);

    /// <summary>A matrix that is read row by row, and therefore plain.</summary>
    private LinearWeight Table(string module, int rows, int columns) => checkpoint.Describe(module, rows, columns) is PlainModule plain
        ? LoadPlain(module, plain.Weight, rows, columns)
        : throw new NotSupportedException($"{module} is quantised; embeddings are read only as F32, F16 or BF16");

    private LinearWeight Load(string module, ModuleEncoding encoding, int rows, int columns) => encoding switch
    {
        GptqModule gptq => LoadGptq(module, gptq, rows, columns),
        PlainModule plain => LoadPlain(module, plain.Weight, rows, columns),
        _ => throw new NotSupportedException($"{module}: encoding {encoding.GetType().Name} cannot be loaded"),
    };

    private LinearWeight LoadPlain(string module, TensorEntry tensor, int rows, int columns)
    {
        WeightType type = WeightTypeOf(tensor);
        ArrayView<UInt4> data = memory.Allocate<UInt4>(DenseMatrix.BytesFor(type, rows, columns) / 16);
        var matrix = new DenseMatrix(type, data, rows, columns);
        UploadRows(tensor, matrix, 0, rows);
        return new LinearWeight(module, matrix);
    }

    /// <summary>Rows of a plain tensor to a matrix whose row 0 is the tensor's row <paramref name="firstRow"/>.</summary>
    private void UploadRows(TensorEntry tensor, DenseMatrix destination, int firstRow, int rows)
    {
        int rowBytes = (int)(tensor.LengthBytes / tensor.Shape[0]);
        int paddedRowBytes = destination.StrideWords * 16;
        int rowsPerBlock = Math.Max(1, BlockBytes / paddedRowBytes);
        ArrayView<byte> target = destination.Data.Cast<byte>();
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            int count = Math.Min(rowsPerBlock, rows - row);
            Span<byte> bytes = Read(tensor, (long)(firstRow + row) * rowBytes, count * rowBytes);
            if (paddedRowBytes != rowBytes)
                bytes = SpreadRows(count, rowBytes, paddedRowBytes);
            Upload(bytes, target.SubView((long)row * paddedRowBytes, bytes.Length));
        }
    }

    // Moves rows of the block apart, last first, and zeroes the gaps.
    private Span<byte> SpreadRows(int rows, int rowBytes, int paddedRowBytes)
    {
        for (int row = rows - 1; row >= 0; row--)
        {
            block.AsSpan(row * rowBytes, rowBytes).CopyTo(block.AsSpan(row * paddedRowBytes));
            block.AsSpan((row * paddedRowBytes) + rowBytes, paddedRowBytes - rowBytes).Clear();
        }

        return block.AsSpan(0, rows * paddedRowBytes);
    }

    private LinearWeight LoadGptq(string module, GptqModule gptq, int rows, int columns)
    {
        Int4Matrix matrix = AllocateInt4(rows, columns, gptq.GroupSize, WeightTypeOf(gptq.Scales));

        // Eight source words of 8 inputs each make one 64-wide tile; a block is a whole number of tiles.
        int wordRows = (int)gptq.QWeight.Shape[0];
        int wordsPerBlock = Math.Max(8, BlockBytes / (rows * sizeof(int)) / 8 * 8);
        for (int word = 0; word < wordRows; word += wordsPerBlock)
        {
            int count = Math.Min(wordsPerBlock, wordRows - word);
            ArrayView<int> words = Stage<int>(gptq.QWeight, (long)word * rows, (long)count * rows);
            GptqPack.Bind(device.Loader, new Matrix<int>(words, count, rows), word, matrix).Run(device.Stream);
            device.Synchronize();
        }

        int groups = (int)gptq.Scales.Shape[0];
        ArrayView<ushort> scales = Stage<ushort>(gptq.Scales, 0, (long)groups * rows);
        GptqPack.BindScales(device.Loader, new Matrix<ushort>(scales, groups, rows), matrix).Run(device.Stream);
        device.Synchronize();
        return new LinearWeight(module, matrix);
    }

    private LinearWeight Quantize(string module, TensorEntry tensor, int rows, int columns)
    {
        const int GroupSize = 128;
        const int TileRows = 16;
        WeightType type = WeightTypeOf(tensor);
        Int4Matrix matrix = AllocateInt4(rows, columns, GroupSize, WeightType.Bf16);
        long rowBytes = DenseMatrix.BytesFor(type, 1, columns);
        int rowsPerBlock = (int)Math.Max(TileRows, BlockBytes / rowBytes / TileRows * TileRows);
        using var blockMemory = new DeviceMemory(device);
        ArrayView<UInt4> data = blockMemory.Allocate<UInt4>(DenseMatrix.BytesFor(type, Math.Min(rowsPerBlock, rows), columns) / 16);
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            int count = Math.Min(rowsPerBlock, rows - row);
            var plain = new DenseMatrix(type, data.SubView(0, DenseMatrix.BytesFor(type, count, columns) / 16), count, columns);
            UploadRows(tensor, plain, row, count);
            RoundToNearestInt4.Bind(device.Loader, plain, row, matrix).Run(device.Stream);
            device.Synchronize();
        }

        return new LinearWeight(module, matrix);
    }

    private Int4Matrix AllocateInt4(int rows, int columns, int groupSize, WeightType scaleType) => new(
        memory.Allocate<UInt4>(Int4Matrix.CodeBytes(rows, columns, groupSize) / 16),
        memory.Allocate<ushort>(Int4Matrix.ScaleBytes(rows, columns, groupSize) / sizeof(ushort)),
        scaleType, rows, columns, groupSize);

    /// <summary>A small tensor as floats on the device, whatever its type in the file.</summary>
    private ArrayView<float> Floats(string name, params long[] shape)
    {
        TensorEntry tensor = checkpoint.Get(name, shape);
        WeightType type = WeightTypeOf(tensor);
        var values = new float[tensor.LengthBytes / tensor.Type.ByteSize()];
        ReadOnlySpan<byte> bytes = Read(tensor, 0, checked((int)tensor.LengthBytes));
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = type switch
            {
                WeightType.F32 => BinaryPrimitives.ReadSingleLittleEndian(bytes[(i * 4)..]),
                WeightType.Bf16 => Bf16.ToFloat(BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * 2)..])),
                _ => F16.ToFloat(BinaryPrimitives.ReadUInt16LittleEndian(bytes[(i * 2)..])),
            };
        }

        ArrayView<float> view = memory.Allocate<float>(values.Length);
        view.CopyFromCPU(device.Stream, values);
        device.Synchronize();
        return view;
    }

    private RotaryView LoadRotary(QwenConfig config)
    {
        var table = RotaryTable.Build(config.MaxPositionEmbeddings, config.RotaryDim, config.RopeTheta);
        return table.Upload(values =>
        {
            ArrayView<float> view = memory.Allocate<float>(values.Length);
            view.CopyFromCPU(device.Stream, values);
            device.Synchronize();
            return view;
        });
    }

    /// <summary>Elements of a tensor in the device's staging block.</summary>
    private ArrayView<T> Stage<T>(TensorEntry tensor, long firstElement, long count)
        where T : unmanaged
    {
        int size = Marshal.SizeOf<T>();
        if (count * size > BlockBytes)
            return StageLarge<T>(tensor, firstElement, count);
        Span<byte> bytes = Read(tensor, firstElement * size, (int)(count * size));
        ArrayView<byte> view = deviceBlock.SubView(0, bytes.Length);
        Upload(bytes, view);
        return view.Cast<T>();
    }

    // One 64-wide tile row of a very wide matrix can exceed a block: it gets a buffer of its own, filled block by block.
    private ArrayView<T> StageLarge<T>(TensorEntry tensor, long firstElement, long count)
        where T : unmanaged
    {
        int size = Marshal.SizeOf<T>();
        ArrayView<byte> view = staging.Allocate<byte>(count * size);
        for (long done = 0; done < view.Length; done += BlockBytes)
        {
            Span<byte> bytes = Read(tensor, (firstElement * size) + done, (int)Math.Min(BlockBytes, view.Length - done));
            Upload(bytes, view.SubView(done, bytes.Length));
        }

        return view.Cast<T>();
    }

    private Span<byte> Read(TensorEntry tensor, long offsetBytes, int length)
    {
        cancellation.ThrowIfCancellationRequested();
        Span<byte> bytes = block.AsSpan(0, length);
        checkpoint.Read(tensor, offsetBytes, bytes);
        loadedBytes += length;
        progress?.Report(new LoadProgress("loading weights", loadedBytes, checkpoint.WeightBytes));
        return bytes;
    }

    private void Upload(ReadOnlySpan<byte> bytes, ArrayView<byte> view)
    {
        view.CopyFromCPU(device.Stream, bytes);
        device.Synchronize();
    }

    private static WeightType WeightTypeOf(TensorEntry tensor) => tensor.Type switch
    {
        TensorType.F32 => WeightType.F32,
        TensorType.F16 => WeightType.F16,
        TensorType.BF16 => WeightType.Bf16,
        _ => throw new InvalidDataException($"tensor {tensor.Name} has type {tensor.Type}; a weight must be F32, F16 or BF16"),
    };
}
