using System.Buffers.Binary;
using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>
/// A prefix tree as a stream of bytes. Nodes come behind their parents, each with its tokens, the pages that hold them, and where it has a
/// checkpoint the state. All of it is as the device has it: only an engine of the same model, types and kernels can go on with it.
/// </summary>
internal sealed class PrefixArchive : IDisposable
{
    private const int NodeBytes = 12;
    private const int NoState = -1;

    private readonly PrefixTree tree;
    private readonly SnapshotStore store;
    private readonly PagePool pool;
    private readonly ModelState state;
    private readonly Action wait;
    private readonly HostBuffer<byte> staging;

    /// <param name="tree">The tree.</param>
    /// <param name="store">Where its states lie.</param>
    /// <param name="pool">Whose pages it has.</param>
    /// <param name="state">Where both are.</param>
    /// <param name="device">Their device.</param>
    public PrefixArchive(PrefixTree tree, SnapshotStore store, PagePool pool, ModelState state, ComputeDevice device)
    {
        (this.tree, this.store, this.pool, this.state, wait) = (tree, store, pool, state, device.Synchronize);
        staging = new HostBuffer<byte>(device, Math.Max(state.PageBytes, state.StateBytesPerSlot));
    }

    /// <summary>Bytes that <see cref="Write"/> writes; 0 where there is nothing to go on from.</summary>
    public long Bytes => Nodes(tree.Root).Sum(node =>
        NodeBytes + (node.Pages.Length * ((KvCache.PageTokens * sizeof(int)) + state.PageBytes)) + (node.State is null ? 0 : state.StateBytesPerSlot));

    /// <summary>Writes every node.</summary>
    public void Write(Action<ReadOnlySpan<byte>> write)
    {
        PrefixNode[] nodes = [.. Nodes(tree.Root)];
        byte[] head = new byte[NodeBytes];
        foreach (PrefixNode node in nodes)
        {
            BinaryPrimitives.WriteInt32LittleEndian(head, Array.IndexOf(nodes, node.Parent));
            BinaryPrimitives.WriteInt32LittleEndian(head.AsSpan(4), node.Pages.Length);
            BinaryPrimitives.WriteInt16LittleEndian(head.AsSpan(8), (short)Written(node.Origin));
            BinaryPrimitives.WriteInt16LittleEndian(head.AsSpan(10), (short)(node.State is { } copy ? (int)Written(copy.Origin) : NoState));
            write(head);
            write(MemoryMarshal.AsBytes(node.Ids));
            foreach (int page in node.Pages)
                write(Downloaded(state.PageBytes, () => state.DownloadPage(page, staging, 0)));
            if (node.State is { } kept)
                write(kept.Host is { } buffer ? buffer.Span : Downloaded(state.StateBytesPerSlot, () => state.DownloadState(kept.Slot, staging, 0)));
        }
    }

    /// <summary>Reads nodes of so many bytes into the tree, as far as its pages and slots go.</summary>
    /// <param name="bytes">As <see cref="Bytes"/> was when they were written.</param>
    /// <param name="read">Fills a span with the next bytes.</param>
    /// <returns>Tokens of the longest prompt that can be gone on with.</returns>
    /// <exception cref="InvalidDataException">The bytes are no nodes.</exception>
    public int Read(long bytes, Action<Span<byte>> read)
    {
        var known = new List<(int[] Ids, int[] Pages, PrefixOrigin Origin)>();
        var taken = new List<int>();
        int longest = 0;
        try
        {
            byte[] head = new byte[NodeBytes];
            while (bytes > 0)
            {
                Take(ref bytes, NodeBytes);
                read(head);
                int parent = BinaryPrimitives.ReadInt32LittleEndian(head);
                int count = BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(4));
                int origin = BinaryPrimitives.ReadInt16LittleEndian(head.AsSpan(8));
                int stateOrigin = BinaryPrimitives.ReadInt16LittleEndian(head.AsSpan(10));
                if (parent < -1 || parent >= known.Count || count < 1 || !IsOrigin(origin) || stateOrigin != NoState && !IsOrigin(stateOrigin))
                    throw new InvalidDataException($"node {known.Count} is none: parent {parent}, {count} pages");
                Take(ref bytes, count * ((KvCache.PageTokens * sizeof(int)) + state.PageBytes));
                int[] ids = new int[count * KvCache.PageTokens];
                read(MemoryMarshal.AsBytes(ids.AsSpan()));
                int[] pages = [.. Enumerable.Range(0, count).Select(_ => ReadPage(read, taken))];
                (int[] earlierIds, int[] earlierPages, PrefixOrigin earlier) = parent < 0 ? ([], [], PrefixOrigin.Session) : known[parent];
                known.Add(([.. earlierIds, .. ids], [.. earlierPages, .. pages], Read(Math.Max(origin, (int)earlier))));
                if (stateOrigin == NoState)
                    continue;
                Take(ref bytes, state.StateBytesPerSlot);
                read(staging.Span[..(int)state.StateBytesPerSlot]);
                if (Keep(known[^1].Ids, known[^1].Pages, Read(Math.Max(stateOrigin, (int)known[^1].Origin))))
                    longest = Math.Max(longest, known[^1].Ids.Length);
            }
        }
        finally
        {
            // The tree has its own claim on those that it keeps.
            foreach (int page in taken)
                pool.Release(page);
        }

        return longest;
    }

    /// <summary>Gives up everything.</summary>
    public void Clear() => tree.Clear();

    public void Dispose() => staging.Dispose();

    private bool Keep(int[] ids, int[] pages, PrefixOrigin origin)
    {
        int slot = pages.Contains(0) ? 0 : store.TakeSlot(tree);
        if (slot == 0)
            return false;
        state.UploadState(slot, staging, 0);
        wait();
        if (tree.Insert(ids, pages, new StateCopy(slot, origin)))
            return true;
        store.ReturnSlot(slot);
        return false;
    }

    // 0 where none is free: what lies behind it is passed over.
    private int ReadPage(Action<Span<byte>> read, List<int> taken)
    {
        read(staging.Span[..(int)state.PageBytes]);
        if (pool.Available == 0)
            return 0;
        int page = pool.Take();
        taken.Add(page);
        state.UploadPage(page, staging, 0);
        wait();
        return page;
    }

    private ReadOnlySpan<byte> Downloaded(long bytes, Action download)
    {
        download();
        wait();
        return staging.Span[..(int)bytes];
    }

    private static void Take(ref long bytes, long wanted)
    {
        bytes -= wanted;
        if (bytes < 0)
            throw new InvalidDataException($"the last node is {-bytes} bytes longer than what is there");
    }

    // Parents first.
    private static IEnumerable<PrefixNode> Nodes(PrefixNode node) => node.Children.SelectMany(static child => Nodes(child).Prepend(child));

    // What prefill wrote here is, to whoever reads it, of a session.
    private static PrefixOrigin Written(PrefixOrigin origin) => origin == PrefixOrigin.Session ? PrefixOrigin.Prefill : origin;

    private static PrefixOrigin Read(int origin) => (PrefixOrigin)Math.Max(origin, (int)PrefixOrigin.Session);

    private static bool IsOrigin(int origin) => Enum.IsDefined((PrefixOrigin)origin);
}
