using System.Runtime.InteropServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// Brings a checkpoint's tensors to the device in blocks of bounded size: plain weights as they are, packed weights and weights to
/// quantise through packing kernels, small vectors as float. With memory that only measures, and no upload, it reads nothing and adds up
/// what the weights take.
/// </summary>
internal sealed partial class CheckpointWeights : IWeightSource
{
    private const int BlockBytes = StagedUpload.BlockBytes;
    private const int QuantizedGroupSize = 128;

    private readonly Checkpoint checkpoint;
    private readonly ComputeDevice device;
    private readonly DeviceMemory memory;
    private readonly WeightQuantization quantization;
    private readonly HeadQuantization headQuantization;
    private readonly IProgress<LoadProgress>? progress;
    private readonly CancellationToken cancellation;
    private readonly StagedUpload? upload;
    private long loadedBytes;

    // Rows of the embedding and of the head may belong to ids that nobody uses.
    private bool refusesNonFinite;

    public CheckpointWeights(
        Checkpoint checkpoint, ComputeDevice device, DeviceMemory memory, StagedUpload? upload, ModelOptions options,
        IProgress<LoadProgress>? progress, CancellationToken cancellation)
    {
        (this.checkpoint, this.device, this.memory, this.upload) = (checkpoint, device, memory, upload);
        (quantization, headQuantization) = (options.Quantization, options.HeadQuantization);
        (this.progress, this.cancellation) = (progress, cancellation);
    }

    private StagedUpload Upload => upload ?? throw new InvalidOperationException("what only measures uploads nothing");

    /// <summary>What the weights would take of a device.</summary>
    public static ModelFootprint Measure(Checkpoint checkpoint, ComputeDevice device, ModelOptions options)
    {
        checkpoint.RequireLoadable();
        using var measuring = new DeviceMemory(device) { IsMeasuring = true };
        var source = new CheckpointWeights(checkpoint, device, measuring, upload: null, options, progress: null, CancellationToken.None);
        QwenWeights weights = new LayerBuilder(checkpoint.Config, source).Build();
        return new ModelFootprint(measuring.AllocatedBytes, weights.BytesPerToken);
    }

    /// <summary>A matrix in the encoding of its module, or quantised on load where that was asked for and its use allows it.</summary>
    public LinearWeight Matrix(MatrixModule module)
    {
        (string name, int rows, int columns) = (module.Name, module.Rows, module.Columns);
        refusesNonFinite = !IsTable(module.Use);
        ModuleEncoding encoding = checkpoint.Describe(name, rows, columns);
        if (encoding.Bias is { } bias && !memory.IsMeasuring)
            TensorContents.RequireZeros(checkpoint, bias);
        if (module.Use == MatrixUse.Embedding && encoding is not PlainModule)
            throw new NotSupportedException($"{checkpoint.DirectoryPath}: {name} is {encoding.Text}; embeddings are read only as F32, F16 or BF16");
        return encoding switch
        {
            PlainModule plain when module.Use == MatrixUse.Projection && quantization == WeightQuantization.Int4 =>
                Quantize(name, plain.Weight, rows, columns),
            PlainModule plain when IsTable(module.Use) && headQuantization == HeadQuantization.Int8 =>
                QuantizeInt8(name, plain.Weight, rows, columns),
            PlainModule plain => LoadPlain(name, plain.Weight, rows, columns),
            Int4Module { Scales.Type: TensorType.F32 } wide => LoadExpanded(name, wide, rows, columns, () => RowsOf(wide, rows, columns)),
            Int4Module packed => LoadInt4(name, packed, rows, columns),
            Fp8Module fp8 => LoadFp8(name, fp8, rows, columns),
            Fp4Module fp4 => LoadFp4(name, fp4, rows, columns),
            _ => throw new NotSupportedException($"{name}: encoding {encoding.GetType().Name} cannot be loaded"),
        };
    }

    /// <summary>A small tensor as floats on the device, whatever its type in the file.</summary>
    public ArrayView<float> Vector(string name, VectorUse use, params ReadOnlySpan<long> shape)
    {
        TensorEntry tensor = checkpoint.Get(name, shape);
        refusesNonFinite = true;
        return memory.IsMeasuring ? memory.Allocate<float>(tensor.ElementCount) : UploadFloats(Floats(tensor));
    }

    public RotaryView Rotary(QwenConfig config) =>
        RotaryTable.Build(config.MaxPositionEmbeddings, config.RotaryDim, config.RopeTheta, config.Yarn).Upload(UploadFloats);

    private static bool IsTable(MatrixUse use) => use is MatrixUse.Embedding or MatrixUse.Head;

    private LinearWeight LoadPlain(string module, TensorEntry tensor, int rows, int columns)
    {
        WeightType type = WeightTypeOf(tensor);
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Dense(type, rows, columns));
        UploadRows(tensor, matrix, 0, rows);
        return new LinearWeight(module, matrix);
    }

    /// <summary>Rows of a plain tensor to a matrix whose row 0 is the tensor's row <paramref name="firstRow"/>.</summary>
    private void UploadRows(TensorEntry tensor, WeightMatrix destination, int firstRow, int rows)
    {
        if (memory.IsMeasuring)
            return;
        int rowBytes = (int)(tensor.LengthBytes / tensor.Shape[0]);
        int paddedRowBytes = destination.StrideWords * 16;
        int rowsPerBlock = Math.Max(1, BlockBytes / paddedRowBytes);
        ArrayView<byte> target = destination.Data.Cast<byte>();
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            int count = Math.Min(rowsPerBlock, rows - row);
            Span<byte> block = Read(tensor, (long)(firstRow + row) * rowBytes, count * rowBytes);
            if (paddedRowBytes != rowBytes)
                SpreadRows(block, count, rowBytes, paddedRowBytes);
            Upload.Send(target.SubView((long)row * paddedRowBytes, (long)count * paddedRowBytes));
        }
    }

    // Moves rows of the block apart, last first, and zeroes the gaps.
    private static void SpreadRows(Span<byte> block, int rows, int rowBytes, int paddedRowBytes)
    {
        for (int row = rows - 1; row >= 0; row--)
        {
            block.Slice(row * rowBytes, rowBytes).CopyTo(block[(row * paddedRowBytes)..]);
            block.Slice((row * paddedRowBytes) + rowBytes, paddedRowBytes - rowBytes).Clear();
        }
    }

    private LinearWeight Quantize(string module, TensorEntry tensor, int rows, int columns)
    {
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Int4(WeightType.Bf16, rows, columns, QuantizedGroupSize));
        PackBlocks(tensor, rows, columns, (block, row) => RoundToNearestInt4.Bind(device.Loader, block, row, matrix));
        return new LinearWeight(module, matrix);
    }

    private LinearWeight QuantizeInt8(string module, TensorEntry tensor, int rows, int columns)
    {
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Int8(WeightType.Bf16, rows, columns, QuantizedGroupSize));
        PackBlocks(tensor, rows, columns, (block, row) => RoundToNearestInt8.Bind(device.Loader, block, row, matrix));
        return new LinearWeight(module, matrix);
    }

    /// <summary>Brings a plain tensor to the device in blocks of whole row tiles, each with its first row, for a kernel to pack.</summary>
    private void PackBlocks(TensorEntry tensor, int rows, int columns, Func<WeightMatrix, int, Launch> pack)
    {
        if (memory.IsMeasuring)
            return;
        WeightType type = WeightTypeOf(tensor);
        long rowBytes = DenseLayout.Bytes(type, 1, columns);
        int rowsPerBlock = (int)Math.Max(Int4Layout.TileRows, BlockBytes / rowBytes / Int4Layout.TileRows * Int4Layout.TileRows);
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            int count = Math.Min(rowsPerBlock, rows - row);
            var block = WeightMatrix.Dense(type, count, columns);
            block = block with { Data = Upload.NextSource(block.DataBytes).Cast<UInt4>() };
            UploadRows(tensor, block, row, count);
            Pack(pack(block, row));
        }
    }

    private ArrayView<float> UploadFloats(float[] values)
    {
        ArrayView<float> view = memory.Allocate<float>(values.Length);
        if (!memory.IsMeasuring)
            Upload.Send<float>(values, view);
        return view;
    }

    /// <summary>Elements of a tensor on the device, for a kernel to repack.</summary>
    private ArrayView<T> Stage<T>(TensorEntry tensor, long firstElement, long count)
        where T : unmanaged
    {
        int size = Marshal.SizeOf<T>();
        ArrayView<byte> view = Upload.NextSource(count * size);

        // One 64-wide tile row of a very wide matrix can exceed a block.
        for (long done = 0; done < view.Length; done += BlockBytes)
        {
            int length = (int)Math.Min(BlockBytes, view.Length - done);
            Read(tensor, (firstElement * size) + done, length);
            Upload.Send(view.SubView(done, length));
        }

        return view.Cast<T>();
    }

    /// <summary>Rows [first, first + count) of a tensor of two dimensions on the device.</summary>
    private Matrix<T> StageMatrix<T>(TensorEntry tensor, int first, int count)
        where T : unmanaged
    {
        int columns = (int)tensor.Shape[1];
        return new Matrix<T>(Stage<T>(tensor, (long)first * columns, (long)count * columns), count, columns);
    }

    /// <summary>Reads into the next block of the upload and returns that block whole.</summary>
    private Span<byte> Read(TensorEntry tensor, long offsetBytes, int length)
    {
        Span<byte> block = Upload.NextBlock();
        ReadTo(tensor, offsetBytes, block[..length]);
        return block;
    }

    private void ReadTo(TensorEntry tensor, long offsetBytes, Span<byte> destination)
    {
        cancellation.ThrowIfCancellationRequested();
        checkpoint.Read(tensor, offsetBytes, destination);
        RefuseNonFinite(destination, tensor, offsetBytes);
        loadedBytes += destination.Length;
        progress?.Report(new LoadProgress("loading weights", loadedBytes, checkpoint.WeightBytes));
    }

    /// <summary>A whole tensor on the host.</summary>
    private T[] ReadAll<T>(TensorEntry tensor)
        where T : unmanaged
    {
        var values = new T[tensor.LengthBytes / Marshal.SizeOf<T>()];
        ReadAll<T>(tensor, values);
        return values;
    }

    private void ReadAll<T>(TensorEntry tensor, Span<T> values)
        where T : unmanaged
    {
        int blockCount = BlockBytes / Marshal.SizeOf<T>();
        for (int done = 0; done < values.Length; done += blockCount)
        {
            Span<T> block = values.Slice(done, Math.Min(blockCount, values.Length - done));
            ReadTo(tensor, done * (long)Marshal.SizeOf<T>(), MemoryMarshal.AsBytes(block));
        }
    }

    /// <summary>A whole tensor of plain numbers as floats.</summary>
    private float[] Floats(TensorEntry tensor) => WeightTypeOf(tensor) switch
    {
        WeightType.F32 => ReadAll<float>(tensor),
        WeightType.Bf16 => Array.ConvertAll(ReadAll<ushort>(tensor), Bf16.ToFloat),
        _ => Array.ConvertAll(ReadAll<ushort>(tensor), F16.ToFloat),
    };

    private void RefuseNonFinite(ReadOnlySpan<byte> bytes, TensorEntry tensor, long offsetBytes)
    {
        if (!refusesNonFinite || !NonFiniteWeights.CanBeIn(tensor.Type))
            return;
        if (NonFiniteWeights.FirstIn(bytes, checkpoint.PathOf(tensor), tensor, offsetBytes) is { } found)
        {
            throw new InvalidDataException(
                $"{found.File}: tensor {tensor.Name} holds a non-finite value ({found.ValueText}) at element {found.Element}, {found.Place}: "
                + "the weights are damaged; fetch the file again");
        }
    }

    private static WeightType WeightTypeOf(TensorEntry tensor) => tensor.Type switch
    {
        TensorType.F32 => WeightType.F32,
        TensorType.F16 => WeightType.F16,
        TensorType.BF16 => WeightType.Bf16,
        _ => throw new InvalidDataException($"tensor {tensor.Name} has type {tensor.Type}; a weight must be F32, F16 or BF16"),
    };
}
