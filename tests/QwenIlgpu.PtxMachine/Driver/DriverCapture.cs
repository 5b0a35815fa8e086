namespace QwenIlgpu.PtxMachine;

/// <summary>
/// A capture: the nodes so far of its graph, and the streams whose work becomes nodes. It begins with one stream; a stream joins that
/// waits for an event of the capture.
/// </summary>
internal sealed class DriverCapture
{
    private const int GlobalMode = 0;
    private const int ThreadMode = 1;
    private const int RelaxedMode = 2;

    private readonly List<GraphNode> nodes = [];
    private readonly List<DriverStream> streams = [];
    private readonly DriverStream origin;
    private readonly int mode;
    private readonly int thread = Environment.CurrentManagedThreadId;

    private DriverCapture(DriverStream origin, int mode)
    {
        (this.origin, this.mode) = (origin, mode);
        Join(origin, []);
        Open.Add(this);
    }

    /// <summary>Whether a call that no capture may see has spoilt it.</summary>
    public bool IsBroken { get; set; }

    public bool IsOpen => Open.Contains(this);

    private static List<DriverCapture> Open => MachineDriver.Captures;

    private bool Forbids => mode == GlobalMode || (mode == ThreadMode && thread == Environment.CurrentManagedThreadId);

    public static void Begin(DriverStream stream, int mode)
    {
        DriverException.ThrowUnless(stream != stream.Context.NullStream, DriverResult.StreamCaptureUnsupported);
        DriverException.ThrowUnless(stream.Capture is null, DriverResult.IllegalState);
        DriverException.ThrowUnless(mode is GlobalMode or ThreadMode or RelaxedMode, DriverResult.InvalidValue);
        _ = new DriverCapture(stream, mode);
    }

    /// <summary>A call that is unsafe while some stream is captured in a mode that forbids it: the capture is lost.</summary>
    public static void ThrowIfUnsafe() => Break(c => c.Forbids, DriverResult.StreamCaptureUnsupported);

    /// <summary>A wait for all of a context, some of which is captured and will not run.</summary>
    public static void ThrowIfAnyOf(DriverContext context) => Break(
        c => c.Forbids || c.streams.Any(s => s.Context == context), DriverResult.StreamCaptureUnsupported);

    /// <summary>Use of the NULL stream, which waits for blocking streams, while such a one is captured.</summary>
    public static void ThrowIfDependsOn(DriverContext context) =>
        Break(c => c.streams.Any(s => s.IsBlocking && s.Context == context), DriverResult.StreamCaptureImplicit);

    public static void CloseAllOf(DriverContext context)
    {
        foreach (DriverCapture capture in Open.Where(c => c.origin.Context == context).ToArray())
            capture.Close();
    }

    /// <summary>A stream becomes part of the capture behind these nodes.</summary>
    public void Join(DriverStream stream, IEnumerable<int> ends)
    {
        if (stream.Capture != this)
        {
            streams.Add(stream);
            stream.Capture = this;
        }

        stream.Ends.AddRange(ends.Except(stream.Ends).ToArray());
    }

    public void Add(DriverStream stream, DriverTask task)
    {
        nodes.Add(new GraphNode(task, [.. stream.Ends]) { Hash = MachineDriver.HashOf(task.Parameters) });
        stream.Ends.Clear();
        stream.Ends.Add(nodes.Count - 1);
    }

    /// <summary>Ends the capture in the stream that it began with.</summary>
    public DriverGraph End(DriverStream stream)
    {
        if (stream != origin)
        {
            IsBroken = true;
            throw new DriverException(DriverResult.StreamCaptureUnmatched);
        }

        bool isElsewhere = mode != RelaxedMode && thread != Environment.CurrentManagedThreadId;
        DriverException.ThrowUnless(!isElsewhere, DriverResult.StreamCaptureWrongThread);
        bool isJoined = AreJoined();
        Close();
        DriverException.ThrowUnless(!IsBroken, DriverResult.StreamCaptureInvalidated);
        DriverException.ThrowUnless(isJoined, DriverResult.StreamCaptureUnjoined);
        return new DriverGraph(origin.Context, nodes);
    }

    private static void Break(Predicate<DriverCapture> isMet, DriverResult result)
    {
        bool isBroken = false;
        foreach (DriverCapture capture in Open.FindAll(isMet))
            isBroken = capture.IsBroken = true;
        DriverException.ThrowUnless(!isBroken, result);
    }

    // Whether all that other streams were given comes before the end of the first.
    private bool AreJoined()
    {
        var before = new HashSet<int>();
        var left = new Stack<int>(origin.Ends);
        while (left.TryPop(out int node))
        {
            if (before.Add(node))
                Array.ForEach(nodes[node].Follows, left.Push);
        }

        return streams.TrueForAll(s => s.Ends.TrueForAll(before.Contains));
    }

    private void Close()
    {
        Open.Remove(this);
        foreach (DriverStream stream in streams)
        {
            stream.Capture = null;
            stream.Ends.Clear();
        }
    }
}
