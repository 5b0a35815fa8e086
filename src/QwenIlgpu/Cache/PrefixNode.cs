using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu;

/// <summary>Pages of a prefix tree behind those of its parent, and perhaps the state behind the last of them.</summary>
internal sealed class PrefixNode
{
    private const int PageTokens = KvCache.PageTokens;

    private readonly Dictionary<PageKey, PrefixNode> children = [];
    private ReadOnlyMemory<int> ids;

    public PrefixNode(PrefixNode? parent, ReadOnlyMemory<int> ids, int[] pages, PrefixOrigin origin)
    {
        (Parent, this.ids, Pages, Origin) = (parent, ids, pages, origin);
        EndTokens = (parent?.EndTokens ?? 0) + ids.Length;
    }

    /// <summary>Null for the root.</summary>
    public PrefixNode? Parent { get; private set; }

    /// <summary>Their tokens.</summary>
    public ReadOnlySpan<int> Ids => ids.Span;

    /// <summary>Its own pages.</summary>
    public int[] Pages { get; private set; }

    /// <summary>Who wrote them.</summary>
    public PrefixOrigin Origin { get; set; }

    /// <summary>Tokens from the root to its end.</summary>
    public int EndTokens { get; }

    /// <summary>The state behind its last token; null where it was given up, or never taken.</summary>
    public StateCopy? State { get; set; }

    /// <summary>The later, the more recent.</summary>
    public long LastUse { get; set; }

    public bool HasChildren => children.Count > 0;

    public IEnumerable<PrefixNode> Children => children.Values;

    /// <summary>The child that begins with the first page of these tokens; null for none.</summary>
    public PrefixNode? Child(ReadOnlyMemory<int> rest) =>
        rest.Length >= PageTokens ? children.GetValueOrDefault(new PageKey(rest[..PageTokens])) : null;

    public void Add(PrefixNode child) => children.Add(child.Key, child);

    public void Remove(PrefixNode child) => children.Remove(child.Key);

    /// <summary>Pages at its beginning whose tokens are these.</summary>
    public int CommonPages(ReadOnlyMemory<int> rest) => ids.Span.CommonPrefixLength(rest.Span) / PageTokens;

    /// <summary>A node of its first pages, which takes its place and has it as a child.</summary>
    public PrefixNode Split(int pages)
    {
        int tokens = pages * PageTokens;
        var upper = new PrefixNode(Parent, ids[..tokens], Pages[..pages], Origin);
        Parent!.Remove(this);
        Parent.Add(upper);
        (Parent, ids, Pages) = (upper, ids[tokens..], Pages[pages..]);
        upper.Add(this);
        return upper;
    }

    private PageKey Key => new(ids[..PageTokens]);

    // The tokens of one page.
    private readonly record struct PageKey(ReadOnlyMemory<int> Ids)
    {
        public bool Equals(PageKey other) => Ids.Span.SequenceEqual(other.Ids.Span);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.AddBytes(MemoryMarshal.AsBytes(Ids.Span));
            return hash.ToHashCode();
        }
    }
}
