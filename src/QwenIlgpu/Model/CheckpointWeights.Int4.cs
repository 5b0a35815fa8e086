using System.Runtime.InteropServices;
using ILGPU;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Modules of 4-bit codes: their words go through the packing kernels of their format, inputs sorted by group where they are not.</summary>
internal sealed partial class CheckpointWeights
{
    private readonly Dictionary<int[], InputOrder> orders = new(new SameNumbers());

    // The stored codes of one module whose inputs are not in order; as large as the largest, while weights load.
    private int[] unordered = [];

    private LinearWeight LoadInt4(string module, Int4Module packed, int rows, int columns)
    {
        bool isSymmetric = memory.IsMeasuring || packed.Zeros is null
            ? packed.IsSymmetric : TensorContents.AreAll(checkpoint, packed.Zeros, packed.SymmetricZeros);
        WeightMatrix matrix = memory.Allocate(WeightMatrix.Int4(WeightTypeOf(packed.Scales), rows, columns, packed.GroupSize));
        if (!isSymmetric)
            matrix = matrix with { Zeros = memory.Allocate<byte>(Int4Layout.ZeroBytes(rows, columns, packed.GroupSize)) };

        // An order of inputs, which contents alone tell, is not measured: four bytes an input, whose codes take half a byte an output.
        if (memory.IsMeasuring)
            return new LinearWeight(module, matrix);
        int[]? order = packed.GIdx is { } gIdx ? GroupOrder.Read(checkpoint, gIdx, packed.GroupSize) : null;
        PackCodes(packed, order, matrix);
        Matrix<ushort> scales = StageMatrix<ushort>(packed.Scales, 0, (int)packed.Scales.Shape[0]);
        Pack(packed.Packing switch
        {
            Int4Packing.CompressedTensors => CompressedTensorsPack.BindScales(device.Loader, scales, matrix),
            Int4Packing.Awq => AwqPack.BindScales(device.Loader, scales, matrix),
            _ => GptqPack.BindScales(device.Loader, scales, matrix),
        });
        if (!isSymmetric)
            PackZeros(packed, matrix);
        return new LinearWeight(module, matrix, order is null ? null : OrderOf(order));
    }

    private void PackCodes(Int4Module packed, int[]? order, WeightMatrix matrix)
    {
        // A block is a whole number of tiles, of 64 inputs or of 16 outputs, by what a line of words is.
        int tileLines = packed.Packing switch
        {
            Int4Packing.CompressedTensors => Int4Layout.TileRows,
            Int4Packing.Awq => Int4Layout.TileColumns,
            _ => Int4Layout.TileColumns / 8,
        };
        (int lines, int lineWords) = ((int)packed.Codes.Shape[0], (int)packed.Codes.Shape[1]);
        int linesPerBlock = Math.Max(tileLines, BlockBytes / (lineWords * sizeof(int)) / tileLines * tileLines);
        if (order is not null && packed.Packing != Int4Packing.CompressedTensors)
            ReadUnordered(packed.Codes);
        for (int line = 0; line < lines; line += linesPerBlock)
        {
            int count = Math.Min(linesPerBlock, lines - line);
            Matrix<int> block = order is null
                ? StageMatrix<int>(packed.Codes, line, count) : StageOrdered(packed, order, line, count);
            Pack(packed.Packing switch
            {
                Int4Packing.CompressedTensors => CompressedTensorsPack.Bind(device.Loader, block, line, matrix),
                Int4Packing.Awq => AwqPack.Bind(device.Loader, block, line, matrix),
                _ => GptqPack.Bind(device.Loader, block, line, matrix),
            });
        }
    }

    private void PackZeros(Int4Module packed, WeightMatrix matrix)
    {
        Matrix<int> zeros = StageMatrix<int>(packed.Zeros!, 0, (int)packed.Zeros!.Shape[0]);
        Pack(packed.Packing switch
        {
            Int4Packing.CompressedTensors => CompressedTensorsPack.BindZeros(device.Loader, zeros, matrix),
            Int4Packing.Awq => AwqPack.BindZeros(device.Loader, zeros, matrix),
            Int4Packing.GptqV2 => GptqPack.BindZeros(device.Loader, zeros, GptqVersion.V2, matrix),
            _ => GptqPack.BindZeros(device.Loader, zeros, GptqVersion.V1, matrix),
        });
    }

    private void Pack(Launch launch)
    {
        launch.Run(device.Stream);
        Upload.Consumed();
    }

    // Where a line is of inputs, any line may be wanted next.
    private void ReadUnordered(TensorEntry codes)
    {
        int words = checked((int)(codes.LengthBytes / sizeof(int)));
        if (unordered.Length < words)
            unordered = GC.AllocateUninitializedArray<int>(words);
        ReadAll(codes, unordered.AsSpan(0, words));
    }

    /// <summary>Lines [first, first + count) of the codes on the device, as they are when inputs are in this order.</summary>
    private Matrix<int> StageOrdered(Int4Module packed, ReadOnlySpan<int> order, int first, int count)
    {
        int lineWords = (int)packed.Codes.Shape[1];
        int lineBytes = lineWords * sizeof(int);
        ArrayView<byte> view = Upload.NextSource((long)count * lineBytes);
        int most = Math.Max(1, BlockBytes / lineBytes);
        for (int done = 0; done < count; done += most)
        {
            int lines = Math.Min(most, count - done);
            StageLines(packed, order, first + done, lines, lineWords);
            Upload.Send(view.SubView((long)done * lineBytes, (long)lines * lineBytes));
        }

        return new Matrix<int>(view.Cast<int>(), count, lineWords);
    }

    private void StageLines(Int4Module packed, ReadOnlySpan<int> order, int first, int lines, int lineWords)
    {
        int bytes = lines * lineWords * sizeof(int);
        switch (packed.Packing)
        {
            case Int4Packing.CompressedTensors:
                Span<byte> stored = Read(packed.Codes, (long)first * lineWords * sizeof(int), bytes);
                OrderedCodes.ReorderCompressedTensors(MemoryMarshal.Cast<byte, int>(stored[..bytes]), order);
                break;
            case Int4Packing.Awq:
                OrderedCodes.GatherAwq(unordered, lineWords, order.Slice(first, lines), NextWords());
                break;
            default:
                OrderedCodes.GatherGptq(unordered, lineWords, order.Slice(8 * first, 8 * lines), NextWords());
                break;
        }

        Span<int> NextWords() => MemoryMarshal.Cast<byte, int>(Upload.NextBlock()[..bytes]);
    }

    private InputOrder OrderOf(int[] order)
    {
        if (!orders.TryGetValue(order, out InputOrder? known))
        {
            ArrayView<int> inputs = memory.Allocate<int>(order.Length);
            Upload.Send<int>(order, inputs);
            orders.Add(order, known = new InputOrder(inputs));
        }

        return known;
    }

    private sealed class SameNumbers : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] numbers)
        {
            var hash = default(HashCode);
            hash.AddBytes(MemoryMarshal.AsBytes<int>(numbers));
            return hash.ToHashCode();
        }
    }
}
