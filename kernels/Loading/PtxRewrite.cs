namespace QwenIlgpu.Kernels;

/// <summary>What is changed in ILGPU's PTX before a driver sees it.</summary>
internal static class PtxRewrite
{
    /// <summary>Part of a cached text's key: raise it with every change of <see cref="Apply"/>.</summary>
    public const int Version = 1;

    private const string TargetDirective = ".target ";

    /// <summary>
    /// Drops the hint that a branch is uniform, which is always legal and without which the assembler unrolls loops and keeps
    /// small arrays in registers; and raises <c>.target</c> where one is given.
    /// </summary>
    public static string Apply(string ptx, string? target)
    {
        ptx = ptx.Replace("bra.uni", "bra", StringComparison.Ordinal);
        return target is null ? ptx : Retarget(ptx, target);
    }

    private static string Retarget(string ptx, string target)
    {
        int start = ptx.IndexOf(TargetDirective, StringComparison.Ordinal);
        if (start < 0)
            throw new InvalidOperationException($"PTX without a {TargetDirective.Trim()} directive cannot be retargeted to {target}");
        start += TargetDirective.Length;
        int end = ptx.AsSpan(start).IndexOfAny(",\r\n ");
        return string.Concat(ptx.AsSpan(0, start), target, ptx.AsSpan(end < 0 ? ptx.Length : start + end));
    }
}
