using System.Text.RegularExpressions;

namespace QwenIlgpu.Kernels;

/// <summary>What is changed in ILGPU's PTX before a driver sees it.</summary>
internal static partial class PtxRewrite
{
    /// <summary>Part of a cached text's key: raise it with every change of what is done to a text.</summary>
    public const int Version = 4;

    private const string TargetDirective = ".target ";
    private const string EntryDirective = ".visible .entry";

    /// <summary>
    /// Drops the hint that a branch is uniform, which is always legal and without which the assembler unrolls loops and keeps
    /// small arrays in registers; rounds every product, sum and difference of floats by itself, which the assembler could fuse
    /// otherwise, in one kernel and not in its twin; and raises <c>.target</c> where one is given. Fused is what asks to be.
    /// </summary>
    public static string Apply(string ptx, string? target)
    {
        ptx = ptx.Replace("bra.uni", "bra", StringComparison.Ordinal);
        ptx = UnroundedArithmetic().Replace(ptx, "${operation}.rn${type}");
        return target is null ? ptx : Retarget(ptx, target);
    }

    /// <summary>
    /// Says above the entry which kernel it is, in which instantiation, and where its views lie in the parameter buffer, each an address and
    /// 8 bytes behind it a number of elements, of as many bytes as stand in brackets: <c>// views of Kernel_GatherRows: 8[4] 40[4] 56[4]</c>.
    /// Nothing is said of the views of an entry without any.
    /// </summary>
    /// <exception cref="InvalidOperationException">ILGPU lays an operand out in another way than we do.</exception>
    public static string Describe(string ptx, KernelEntry entry)
    {
        PtxSignature signature = PtxSignature.Parse(ptx);
        ArgumentLayout[] layouts = CudaFunction.LayoutsOf(entry, signature);
        string[] views =
        [
            .. layouts.SelectMany((l, i) => l.Words.Where(w => w.IsAddress)
                .Select(w => FormattableString.Invariant($"{signature.Parameters[i].Offset + w.Offset}[{w.ElementBytes}]"))),
        ];
        string named = views.Length == 0 ? "" : $"// views of {signature.Name}: {string.Join(' ', views)}\n";
        return ptx.Insert(ptx.IndexOf(EntryDirective, StringComparison.Ordinal), $"// {entry}\n{named}");
    }

    // Alone: neither a part of another instruction, such as red.add.f32, nor with a rounding of its own.
    [GeneratedRegex(@"(?<![\w.%])(?<operation>mul|add|sub)(?<type>(\.ftz)?(\.sat)?\.f(32|64))(?![\w.])", RegexOptions.ExplicitCapture)]
    private static partial Regex UnroundedArithmetic();

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
