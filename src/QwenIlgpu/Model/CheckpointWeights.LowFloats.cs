using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>FP8 and FP4 as they are, and as floats what no device format holds exactly.</summary>
internal sealed partial class CheckpointWeights
{
    private LinearWeight LoadFp8(string module, Fp8Module fp8, int rows, int columns)
    {
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Fp8(rows, columns, fp8.BlockColumns < columns ? fp8.BlockColumns : Int8Layout.RowGroup(columns)));
        if (memory.IsMeasuring)
            return new LinearWeight(module, matrix);
        PackWords(
            rows, columns / sizeof(uint), (first, count) => Stage<uint>(fp8.Codes, first, count),
            (block, row) => Fp8Pack.Bind(device.Loader, block, row, matrix));
        float[] scales = Floats(fp8.Scales);
        int scaleRows = (rows + fp8.BlockRows - 1) / fp8.BlockRows;
        ArrayView<float> staged = Staged<float>(scales);
        Pack(Fp8Pack.BindScales(
            device.Loader, new Matrix<float>(staged, scaleRows, scales.Length / scaleRows), fp8.BlockRows, fp8.BlockColumns, matrix));
        return new LinearWeight(module, matrix);
    }

    private LinearWeight LoadFp4(string module, Fp4Module fp4, int rows, int columns)
    {
        if (memory.IsMeasuring)
            return new LinearWeight(module, memory.Allocate(WeightMatrix.Fp4(rows, columns)));
        byte[] scales = ReadAll<byte>(fp4.Scales);
        float global = fp4.GlobalScale is { } stored ? GlobalScale(stored, fp4.GlobalDivides) : 1;
        byte[]? codes = null;
        if (fp4.IsMx)
        {
            codes = ReadAll<byte>(fp4.Codes);
            if (MxScales.ToE4M3(scales, codes, $"{checkpoint.PathOf(fp4.Scales)}: tensor {fp4.Scales.Name}") is not var (fitting, factor))
                return LoadExpanded(module, fp4, rows, columns, () => new ExpandedMxRows(columns, codes, scales));
            (scales, global) = (fitting, global * factor);
        }

        WeightMatrix matrix = memory.Allocate(WeightMatrix.Fp4(rows, columns));
        PackWords(
            rows, columns / 8,
            (first, count) => codes is null
                ? Stage<uint>(fp4.Codes, first, count)
                : Staged(MemoryMarshal.Cast<byte, uint>(codes.AsSpan()).Slice((int)first, (int)count)),
            (block, row) => Fp4Pack.Bind(device.Loader, block, row, matrix));
        Pack(Fp4Pack.BindScales(
            device.Loader, new Matrix<byte>(Staged<byte>(scales), rows, columns / fp4.GroupSize), fp4.GroupSize, global, matrix));
        return new LinearWeight(module, matrix);
    }

    private float GlobalScale(TensorEntry stored, bool divides)
    {
        float value = Floats(stored)[0];
        float scale = divides ? 1 / value : value;
        return float.IsFinite(scale) && scale != 0
            ? scale
            : throw new InvalidDataException($"{checkpoint.PathOf(stored)}: tensor {stored.Name} is {value}, which is no scale: the weights are damaged");
    }

    private ExpandedInt4Rows RowsOf(Int4Module packed, int rows, int columns)
    {
        int[] groupOfInput = [.. Enumerable.Range(0, columns).Select(k => k / packed.GroupSize)];
        if (packed.GIdx is { } gIdx && GroupOrder.Read(checkpoint, gIdx, packed.GroupSize) is { } order)
        {
            for (int place = 0; place < columns; place++)
                groupOfInput[order[place]] = place / packed.GroupSize;
        }

        return new ExpandedInt4Rows(
            packed.Packing, rows, columns, ReadAll<int>(packed.Codes), Floats(packed.Scales),
            packed.Zeros is { } zeros ? ReadAll<int>(zeros) : null, groupOfInput);
    }

    /// <summary>As plain floats, which only a CPU gets: on a GPU they would take the memory of eight such models.</summary>
    private LinearWeight LoadExpanded(string module, ModuleEncoding encoding, int rows, int columns, Func<ExpandedRows> source)
    {
        if (device.IsCuda)
        {
            throw new NotSupportedException(
                $"{checkpoint.DirectoryPath}: {module} is {encoding.Text}, which no format on a GPU holds exactly; on the CPU it is expanded to F32");
        }

        WeightMatrix matrix = memory.Allocate(WeightMatrix.Dense(WeightType.F32, rows, columns));
        if (memory.IsMeasuring)
            return new LinearWeight(module, matrix);
        ExpandedRows expanded = source();
        int stride = matrix.StrideWords * 16 / sizeof(float);
        int rowsPerBlock = Math.Max(1, BlockBytes / sizeof(float) / stride);
        var values = new float[rowsPerBlock * stride];
        ArrayView<float> target = matrix.Data.Cast<float>();
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(rowsPerBlock, rows - row);
            Parallel.For(0, count, i => expanded.Fill(row + i, values.AsSpan(i * stride, columns)));
            Upload.Send<float>(values.AsSpan(0, count * stride), target.SubView(row * (long)stride, count * stride));
        }

        return new LinearWeight(module, matrix);
    }

    /// <summary>
    /// Brings rows of packed codes to the device in blocks of whole row tiles, each with its first row, for a kernel to pack. stage: words
    /// from one on, so many.
    /// </summary>
    private void PackWords(int rows, int rowWords, Func<long, long, ArrayView<uint>> stage, Func<Matrix<uint>, int, Launch> pack)
    {
        int rowsPerBlock = Math.Max(Int4Layout.TileRows, BlockBytes / (rowWords * sizeof(uint)) / Int4Layout.TileRows * Int4Layout.TileRows);
        for (int row = 0; row < rows; row += rowsPerBlock)
        {
            int count = Math.Min(rowsPerBlock, rows - row);
            Pack(pack(new Matrix<uint>(stage(row * (long)rowWords, count * (long)rowWords), count, rowWords), row));
        }
    }

    /// <summary>Values on the device until a launch has consumed them.</summary>
    private ArrayView<T> Staged<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        ArrayView<T> view = Upload.NextSource(values.Length * (long)Unsafe.SizeOf<T>()).Cast<T>();
        Upload.Send(values, view);
        return view;
    }
}
