namespace QwenIlgpu.PtxMachine;

/// <summary>Finds for each block the nearest one that every way from it to the end passes: its immediate post-dominator.</summary>
internal static class Reconvergence
{
    // Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm", on the graph with its arrows turned.
    public static void Find(Block[] blocks)
    {
        int end = blocks.Length;
        int[][] successors = [.. blocks.Select(b => b.Exit.Successors.Select(s => s == Program.End ? end : s).ToArray())];
        int[] order = ByDistanceFromEnd(successors, end);
        int[] rank = new int[end + 1];
        Array.Fill(rank, int.MaxValue);
        for (int i = 0; i < order.Length; i++)
            rank[order[i]] = i;
        int[] meeting = new int[end + 1];
        Array.Fill(meeting, -1);
        meeting[end] = end;
        bool changed = true;
        while (changed)
        {
            changed = false;
            foreach (int block in order.Skip(1))
            {
                int found = -1;
                foreach (int successor in successors[block].Where(s => meeting[s] >= 0))
                    found = found < 0 ? successor : Common(found, successor);
                if (meeting[block] != found)
                {
                    meeting[block] = found;
                    changed = true;
                }
            }
        }

        for (int i = 0; i < end; i++)
            blocks[i].Reconverge = meeting[i] < 0 || meeting[i] == end ? Program.End : meeting[i];

        int Common(int a, int b)
        {
            while (a != b)
            {
                while (rank[a] > rank[b])
                    a = meeting[a];
                while (rank[b] > rank[a])
                    b = meeting[b];
            }

            return a;
        }
    }

    // Reverse postorder of the turned graph from the end; what never ends is left out.
    private static int[] ByDistanceFromEnd(int[][] successors, int end)
    {
        var predecessors = new List<int>[end + 1];
        for (int i = 0; i <= end; i++)
            predecessors[i] = [];
        for (int i = 0; i < end; i++)
        {
            foreach (int successor in successors[i])
                predecessors[successor].Add(i);
        }

        var finished = new List<int>();
        var seen = new HashSet<int> { end };
        var path = new Stack<(int Block, int Next)>([(end, 0)]);
        while (path.TryPop(out (int Block, int Next) at))
        {
            if (at.Next == predecessors[at.Block].Count)
            {
                finished.Add(at.Block);
                continue;
            }

            path.Push((at.Block, at.Next + 1));
            int next = predecessors[at.Block][at.Next];
            if (seen.Add(next))
                path.Push((next, 0));
        }

        finished.Reverse();
        return [.. finished];
    }
}
