using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine;

/// <summary>What is recorded of a call; its body fills in what the arguments do not tell.</summary>
internal struct CallNote(string? call, nint stream = 0, nint target = 0, long bytes = 0)
{
    /// <summary>The name without its version; null: the call is not recorded.</summary>
    public string? Call = call;

    public string Kernel = "";

    public nint Stream = stream;

    public nint Object = target;

    public long Bytes = bytes;

    public ulong Hash;

    public GridShape Shape;

    public CallOrigin Origin;

    public bool IsPageable;

    public DriverResult Result;
}

/// <summary>The calls of a driver in their order, in memory that no count of managed allocations sees.</summary>
internal sealed unsafe class CallLog
{
    private const ulong HashStart = 14695981039346656037;
    private const ulong HashPrime = 1099511628211;

    private readonly Dictionary<string, int> places = [];
    private readonly List<string> texts = [];
    private Entry* entries;
    private int capacity;
    private int count;

    public void Clear() => count = 0;

    /// <param name="note">The call.</param>
    /// <param name="capturing">Captures that are open.</param>
    public void Add(in CallNote note, int capturing)
    {
        if (note.Call is null)
            return;
        if (count == capacity)
        {
            capacity = Math.Max(4096, 2 * capacity);
            entries = (Entry*)NativeMemory.Realloc(entries, (nuint)capacity * (nuint)sizeof(Entry));
        }

        entries[count++] = new Entry
        {
            Call = PlaceOf(note.Call),
            Kernel = PlaceOf(note.Kernel),
            Stream = note.Stream,
            Object = note.Object,
            Bytes = note.Bytes,
            Hash = note.Hash,
            Shape = note.Shape,
            Origin = note.Origin,
            IsPageable = note.IsPageable,
            IsCapturing = capturing > 0,
            Result = note.Result,
        };
    }

    public DriverCall[] ToArray()
    {
        var calls = new DriverCall[count];
        for (int i = 0; i < count; i++)
        {
            ref Entry entry = ref entries[i];
            calls[i] = new DriverCall
            {
                Call = texts[entry.Call],
                Name = texts[entry.Kernel],
                Stream = entry.Stream,
                Subject = entry.Object,
                Bytes = entry.Bytes,
                Hash = entry.Hash,
                Grid = (entry.Shape.GridX, entry.Shape.GridY, entry.Shape.GridZ),
                Block = (entry.Shape.GroupX, entry.Shape.GroupY, entry.Shape.GroupZ),
                Shared = (int)entry.Shape.DynamicSharedBytes,
                Origin = entry.Origin,
                Pageable = entry.IsPageable,
                Capturing = entry.IsCapturing,
                Result = (int)entry.Result,
            };
        }

        return calls;
    }

    /// <summary>Differs where bytes do (FNV-1a, eight bytes at a time).</summary>
    public static ulong HashOf(void* bytes, long length)
    {
        ulong hash = HashStart;
        long whole = length / sizeof(ulong);
        for (long i = 0; i < whole; i++)
            hash = (hash ^ ((ulong*)bytes)[i]) * HashPrime;
        for (long i = whole * sizeof(ulong); i < length; i++)
            hash = (hash ^ ((byte*)bytes)[i]) * HashPrime;
        return hash;
    }

    private int PlaceOf(string text)
    {
        if (places.TryGetValue(text, out int place))
            return place;
        texts.Add(text);
        places.Add(text, places.Count);
        return texts.Count - 1;
    }

    private struct Entry
    {
        public int Call;
        public int Kernel;
        public nint Stream;
        public nint Object;
        public long Bytes;
        public ulong Hash;
        public GridShape Shape;
        public CallOrigin Origin;
        public bool IsPageable;
        public bool IsCapturing;
        public DriverResult Result;
    }
}
