namespace QwenIlgpu.Kernels;

/// <summary>Plain weights to INT4: round to nearest, symmetric, one 16-bit scale for a group of a row.</summary>
internal static class RoundToNearestInt4
{
    private const string Op = "round_to_nearest_int4";

    /// <summary>
    /// Quantises the block's rows to the destination's rows [firstRow, firstRow + block rows), codes and scales. firstRow is a multiple
    /// of 16; so is the block's height, unless the block is the last. Padding rows get code 8 and scale 0, padding k code 8.
    /// </summary>
    public static Launch Bind(KernelLoader loader, WeightMatrix block, int firstRow, WeightMatrix destination)
    {
        destination.Check(Op, "destination", WeightFormat.Int4);
        block.Check(Op, "block", WeightFormat.Dense);
        Require.That(Op, destination.IsSymmetric, $"destination {destination} has zero points");
        Require.Equal(Op, "columns of block", block.Columns, "columns of destination", destination.Columns);
        RowBlock.Check(Op, firstRow, block.Rows, destination.Rows);
        return block.Type switch
        {
            WeightType.F32 => Bind<F32Weights>(loader, block, firstRow, destination),
            WeightType.F16 => Bind<F16Weights>(loader, block, firstRow, destination),
            WeightType.Bf16 => Bind<Bf16Weights>(loader, block, firstRow, destination),
            _ => throw new NotSupportedException($"{Op}: weights of type {block.Type}"),
        };
    }

    private static Launch Bind<TWeight>(KernelLoader loader, WeightMatrix block, int firstRow, WeightMatrix destination)
        where TWeight : struct, IWeightFormat =>
        destination.Type == WeightType.F16
            ? Bind<TWeight, F16Format>(loader, block, firstRow, destination)
            : Bind<TWeight, Bf16Format>(loader, block, firstRow, destination);

    private static Launch Bind<TWeight, TScale>(KernelLoader loader, WeightMatrix block, int firstRow, WeightMatrix destination)
        where TWeight : struct, IWeightFormat
        where TScale : struct, IScaleFormat =>
        loader.Bind(
            RoundToNearestInt4Kernel<TWeight, TScale>.RoundToNearestInt4,
            new RoundToNearestInt4Kernel<TWeight, TScale>(
                block.Words,
                block.Columns,
                firstRow / Int4Layout.TileRows,
                destination.GroupSize,
                destination.Data,
                destination.Scales));
}
