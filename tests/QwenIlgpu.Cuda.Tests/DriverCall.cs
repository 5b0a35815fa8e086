using System.Runtime.InteropServices;
using System.Text;

namespace QwenIlgpu.Cuda.Tests;

/// <summary>One call that the stand-in driver recorded.</summary>
internal sealed record DriverCall
{
    private unsafe DriverCall(in Entry entry)
    {
        fixed (byte* call = entry.Call, name = entry.Name)
            (Call, Name) = (TextOf(call), TextOf(name));
        (Stream, Object, Bytes, Hash) = ((nint)entry.Stream, (nint)entry.Object, (long)entry.Bytes, entry.Hash);
        Grid = (entry.Grid[0], entry.Grid[1], entry.Grid[2]);
        Block = (entry.Block[0], entry.Block[1], entry.Block[2]);
        (Shared, Origin, Pageable, Capturing, Result) =
            ((int)entry.Shared, (CallOrigin)entry.Origin, entry.Pageable != 0, entry.Capturing > 0, entry.Result);
    }

    public string Call { get; }

    /// <summary>Kernel of a launch.</summary>
    public string Name { get; }

    /// <summary>0 is the NULL stream.</summary>
    public nint Stream { get; }

    /// <summary>Event, graph, memory or module that the call is about.</summary>
    public nint Object { get; }

    /// <summary>Bytes copied or allocated, or of a launch's arguments; kernels of a graph.</summary>
    public long Bytes { get; }

    /// <summary>Of a launch's arguments, or of what a copy to the device copies.</summary>
    public ulong Hash { get; }

    public (uint X, uint Y, uint Z) Grid { get; }

    public (uint X, uint Y, uint Z) Block { get; }

    public int Shared { get; }

    public CallOrigin Origin { get; }

    /// <summary>A copy from or to host memory that is not page-locked.</summary>
    public bool Pageable { get; }

    /// <summary>Whether any stream was under capture.</summary>
    public bool Capturing { get; }

    public int Result { get; }

    public bool IsLaunch => Call == "cuLaunchKernel";

    /// <summary>What makes two launches the same one, whatever the stream.</summary>
    public (string Name, (uint X, uint Y, uint Z) Grid, (uint X, uint Y, uint Z) Block, int Shared, ulong Arguments) Identity =>
        (Name, Grid, Block, Shared, Hash);

    public override string ToString() =>
        $"{Call}{(Name.Length > 0 ? $" {Name}" : "")} on {(Stream == 0 ? "the NULL stream" : $"stream {Stream:x}")}, {Bytes} bytes{(Result == 0 ? "" : $", error {Result}")}";

    internal static unsafe DriverCall[] From(ReadOnlySpan<Entry> entries)
    {
        var calls = new DriverCall[entries.Length];
        for (int i = 0; i < calls.Length; i++)
            calls[i] = new DriverCall(entries[i]);
        return calls;
    }

    private static unsafe string TextOf(byte* text) => Encoding.ASCII.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));

    /// <summary>The driver's own layout of a record.</summary>
    internal unsafe struct Entry
    {
        public fixed byte Call[40];
        public fixed byte Name[88];
        public ulong Stream;
        public ulong Object;
        public ulong Bytes;
        public ulong Hash;
        public ulong Thread;
        public fixed uint Grid[3];
        public fixed uint Block[3];
        public uint Shared;
        public uint Origin;
        public uint Pageable;
        public uint Capturing;
        public int Result;
        public uint Reserved;
    }
}

/// <summary>How a launch came to be recorded.</summary>
internal enum CallOrigin
{
    /// <summary>Launched on a stream.</summary>
    Direct,

    /// <summary>Recorded into a graph under capture.</summary>
    Captured,

    /// <summary>Launched as part of a graph.</summary>
    Replayed,
}
