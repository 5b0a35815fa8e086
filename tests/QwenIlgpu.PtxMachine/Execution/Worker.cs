namespace QwenIlgpu.PtxMachine;

/// <summary>
/// A thread of the host that runs groups: a few at a time, a warp of them for a short while, then another, as the seed has it. So every
/// order that the barriers allow may happen.
/// </summary>
internal sealed class Worker(Launch launch, int number)
{
    private const int ResidentGroups = 3;
    private const int MostBlocks = 24;

    private readonly Random random = new(HashCode.Combine(launch.Options.Seed, number));

    public void Run()
    {
        var resident = new List<Group>();
        var left = new Stack<Group>();
        long turns = 0;
        try
        {
            while (!launch.IsStopped)
            {
                while (resident.Count < ResidentGroups && launch.NextGroup() is var index and >= 0)
                {
                    Group group = left.Count > 0 ? left.Pop() : new Group(launch);
                    group.Start(index);
                    resident.Add(group);
                }

                if (resident.Count == 0)
                    return;
                int choice = random.Next();
                Group current = resident[choice % resident.Count];
                Warp warp = current.Ready(choice >> 4)!;
                warp.Run(1 + ((choice >> 12) % MostBlocks));
                if (current.IsDone)
                {
                    resident.Remove(current);
                    left.Push(current);
                }
                else if (++turns == launch.Options.MostTurns)
                {
                    launch.Fail(FaultKind.Deadlock, warp, 0, 1, $"{turns} turns without an end");
                }
            }
        }
        catch (StoppedException)
        {
            // The fault is noted.
        }
        finally
        {
            launch.AddTurns(turns);
            resident.ForEach(g => g.Dispose());
            foreach (Group group in left)
                group.Dispose();
        }
    }
}
