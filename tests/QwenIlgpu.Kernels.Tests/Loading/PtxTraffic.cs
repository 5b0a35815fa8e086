using System.Globalization;
using QwenIlgpu.PtxMachine;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>What a kernel's launches at its real slice did on the PTX machine.</summary>
/// <param name="Instructions">Instructions of warps.</param>
/// <param name="Requests">Accesses of warps to global memory.</param>
/// <param name="Sectors">32-byte sectors that they touched.</param>
/// <param name="MinimalSectors">As many as the same bytes would fill.</param>
/// <param name="SharedRequests">Accesses of warps to shared memory.</param>
/// <param name="Conflicts">Passes over the banks beyond the least.</param>
internal readonly record struct PtxTraffic(
    long Instructions, long Requests, long Sectors, long MinimalSectors, long SharedRequests, long Conflicts)
{
    public static PtxTraffic None => default;

    /// <summary>Sectors over minimal sectors; null where no global memory is touched.</summary>
    public double? SectorShare => MinimalSectors == 0 ? null : (double)Sectors / MinimalSectors;

    /// <summary>Bank conflicts a request; null without shared memory.</summary>
    public double? ConflictShare => SharedRequests == 0 ? null : (double)Conflicts / SharedRequests;

    public static PtxTraffic Of(LaunchCounts counts) => new(
        counts.Instructions.Values.Sum(), counts.Requests, counts.Sectors, counts.MinimalSectors, counts.SharedRequests, counts.BankConflicts);

    public static PtxTraffic operator +(PtxTraffic a, PtxTraffic b) => new(
        a.Instructions + b.Instructions, a.Requests + b.Requests, a.Sectors + b.Sectors, a.MinimalSectors + b.MinimalSectors,
        a.SharedRequests + b.SharedRequests, a.Conflicts + b.Conflicts);

    public string Describe() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Instructions} instructions, {Requests} requests, {Sectors} sectors of {MinimalSectors}, {SharedRequests} shared requests, {Conflicts} conflicts");
}

/// <summary>The two cells of the table; null is —.</summary>
internal readonly record struct PtxTrafficCells(double? Sectors, double? Conflicts)
{
    /// <summary>
    /// Cells have two decimals, half a unit of rounding on either side. Counts of a slice repeat but where groups hand out places by atomic
    /// additions, as those of sampling do: there they move by a few in a thousand with the processors' own order.
    /// </summary>
    public const double Tolerance = 0.02;

    public static PtxTrafficCells Of(PtxTraffic traffic) => new(Rounded(traffic.SectorShare), Rounded(traffic.ConflictShare));

    public static PtxTrafficCells Parse(string sectors, string conflicts) => new(Parse(sectors), Parse(conflicts));

    /// <summary>What differs from the table, as a sentence's end; null where nothing does.</summary>
    public string? Differs(PtxTrafficCells now) => Sectors is null && Conflicts is null ? $"no traffic in the table ({now})"
        : Differs(Sectors, now.Sectors) ? $"{Text(now.Sectors)} sectors of a minimal one, the table says {Text(Sectors)}"
        : Differs(Conflicts, now.Conflicts) ? $"{Text(now.Conflicts)} bank conflicts a request, the table says {Text(Conflicts)}"
        : null;

    public override string ToString() => $"{Text(Sectors)} | {Text(Conflicts)}";

    // Beyond the tolerance, and what doubles make of two decimals.
    private static bool Differs(double? known, double? now) =>
        known is { } a && now is { } b ? Math.Abs(a - b) > Tolerance + 1e-9 : known != now;

    private static double? Rounded(double? value) => value is { } v ? Math.Round(v, 2, MidpointRounding.AwayFromZero) : null;

    private static double? Parse(string cell) => cell == PtxReport.Absent ? null : double.Parse(cell, CultureInfo.InvariantCulture);

    private static string Text(double? value) => value?.ToString("F2", CultureInfo.InvariantCulture) ?? PtxReport.Absent;
}
