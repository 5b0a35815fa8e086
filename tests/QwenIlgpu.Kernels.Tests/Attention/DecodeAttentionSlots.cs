using System.Globalization;
using System.Text;
using ILGPU.Runtime.Cuda;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>
/// What the loop over pages takes of a multiprocessor beside what its page takes of memory, on sm_90 and with heads of 256: the table
/// bench/decode-attention.md.
/// </summary>
internal sealed record DecodeAttentionSlots(string Cache, int PageBytes, int Registers, MachineLoop Loop)
{
    // An H200 at the clock that it keeps under load; a warp in five waits for something though another could issue.
    private const int Multiprocessors = 132;
    private const int SchedulersEach = 4;
    private const double ClockHz = 1.7e9;
    private const double IssueShare = 0.8;
    private const double BytesPerSecond = 4.8e12 * 0.92;
    private const int Warps = 4;

    private const string Command =
        "PTXAS=$(.ci/install-ptxas) dotnet run -c Release --project tests/QwenIlgpu.Kernels.Tests -- " +
        "--filter \"FullyQualifiedName~DecodeAttentionPtxTests\" --test-parameter decode-attention=update";

    /// <summary>The committed table.</summary>
    public static string FilePath => Repository.PathTo("bench", "decode-attention.md");

    public double SlotsPerKibibyte => Loop.Count * Warps * 1024.0 / PageBytes;

    /// <summary>Of the whole device, for a KiB of page.</summary>
    public double IssueNanoseconds => SlotsPerKibibyte / (Multiprocessors * SchedulersEach * ClockHz * IssueShare) * 1e9;

    public static double MemoryNanoseconds => 1024 / BytesPerSecond * 1e9;

    public static DecodeAttentionSlots Of<TKeys, TValues>(Ptxas ptxas, string cache)
        where TKeys : struct, IPageFormat
        where TValues : struct, IPageFormat
    {
        var architecture = new CudaArchitecture(9, 0);
        string kernel = $"CodedDecodeAttentionKernel<Head256, {typeof(TKeys).Name}, {typeof(TValues).Name}>";
        string ptx = PtxBuild.Shared.Text(KernelCatalogue.Named(kernel), architecture);
        return new DecodeAttentionSlots(
            cache, 16 * (PageBlock.Words<TKeys>(256) + PageBlock.Words<TValues>(256)), ptxas.Assemble(ptx, architecture).Registers,
            MachineLoop.OfTensorCores(ptxas.Disassemble(ptx, architecture)));
    }

    public static string Table(string release, IEnumerable<DecodeAttentionSlots> rows)
    {
        string[] kinds = ["HMMA", "LOP3", "SHF", "PRMT", "HFMA2"];
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"""
            # Decode attention over pages of codes: instructions beside bytes

            Counted in the machine code that ptxas {release} makes for sm_90, of the loop over pages with heads of 256: what one warp issues
            for its 16 of a page's 64 tokens, the shrinking of sums included (64), which most pages skip. Nothing here was measured on a
            GPU. LOP3, SHF, PRMT and HFMA2 make operands of the codes, but for a dozen or two. Time of a KiB: issue slots of four warps over
            {Multiprocessors} · {SchedulersEach} schedulers at {ClockHz / 1e9:F1} GHz, of which {IssueShare * 100:F0} % are used;
            memory at {BytesPerSecond / 1e12:F2} TB/s, 92 % of an H200's.

            ```sh
            {Command}
            ```

            | cache | KiB of a page | registers | instructions |{string.Concat(kinds.Select(k => $" {k} |"))} slots a KiB | ns to issue | ns to read |
            |---|--:|--:|--:|{string.Concat(kinds.Select(_ => "--:|"))}--:|--:|--:|

            """);
        foreach (DecodeAttentionSlots row in rows)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {row.Cache} | {row.PageBytes / 1024.0:F2} | {row.Registers} | {row.Loop.Count} |");
            text.Append(string.Concat(kinds.Select(k => $" {row.Loop.CountOf(k)} |")));
            text.Append(CultureInfo.InvariantCulture, $" {row.SlotsPerKibibyte:F0} | {row.IssueNanoseconds:F3} | {MemoryNanoseconds:F3} |\n");
        }

        return text.ToString();
    }

    /// <summary>Instructions that the table says a cache's loop has; 0 where it knows none.</summary>
    public static int Known(string table, string cache) => table.Split('\n')
        .Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries))
        .Where(cells => cells.Length > 3 && cells[0] == cache)
        .Select(cells => int.Parse(cells[3], CultureInfo.InvariantCulture)).SingleOrDefault();
}
