using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>id of the greatest logit of each row, the lowest of equals; NaN and −∞ are never chosen.</summary>
internal static class ArgMax
{
    /// <summary>
    /// logits: [R, V] float; ids: [R], −1 where a row holds nothing but NaN and −∞. Ids from vocabularySize on are left out.
    /// </summary>
    public static Launch[] Bind(KernelLoader loader, Matrix<float> logits, int vocabularySize, SamplingScratch scratch, ArrayView<int> ids)
    {
        const string Op = "arg_max";
        Require.That(Op, vocabularySize >= 1 && vocabularySize <= logits.Columns,
            $"vocabulary size is {vocabularySize}, columns of logits {logits.Columns}");
        Require.That(Op, scratch.Rows >= logits.Rows, $"scratch holds {scratch.Rows} rows, logits {logits.Rows}");
        Require.Equal(Op, "length of ids", ids.Length, "rows of logits", logits.Rows);
        return
        [
            loader.Bind(ArgMaxBlocksKernel.ArgMaxBlocks, new ArgMaxBlocksKernel(logits, vocabularySize, scratch.BlockBest)),
            loader.Bind(ArgMaxKernel.ArgMax, new ArgMaxKernel(scratch.BlockBest, ids)),
        ];
    }
}
