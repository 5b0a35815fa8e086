using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Gives ids the lowest finite logit: their probability is exactly 0, and none of what the model says of them is looked at.
/// Items: (row, id). logits: [R, V] float; ids: [N] below V.
/// </summary>
internal readonly struct ForbidIdsKernel(Matrix<float> logits, ArrayView<int> ids) : IPortableKernel
{
    public int Items => logits.Rows * ids.IntLength;

    public static void ForbidIds(Index1D thread, int threads, ForbidIdsKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int count = ids.IntLength;
        logits[item / count, ids[item % count]] = float.MinValue;
    }
}

/// <summary>logits[r, id] = the lowest finite value, for ids of the head's rows that no token has.</summary>
internal static class ForbidIds
{
    /// <summary>logits: [R, V] float; ids: [N], at least one, each below V, which the caller has checked.</summary>
    public static Launch Bind(KernelLoader loader, Matrix<float> logits, ArrayView<int> ids)
    {
        Require.That("forbid_ids", ids.Length >= 1, "there are no ids");
        Require.That("forbid_ids", logits.Rows * ids.Length <= int.MaxValue, $"{logits.Rows} rows of {ids.Length} ids are more items than 31 bits count");
        return loader.Bind(ForbidIdsKernel.ForbidIds, new ForbidIdsKernel(logits, ids));
    }
}
