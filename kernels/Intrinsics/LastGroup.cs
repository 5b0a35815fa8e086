using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Finds out which of the groups that share a piece of work comes last, and so gathers what the others stored.</summary>
internal static class LastGroup
{
    /// <summary>
    /// True in all threads of the last of so many groups to ask with this ticket: they see what every thread of the others stored
    /// before. The ticket is 0 before, and again when the last has asked. flag: shared, one. Every thread of a group asks; it passes two
    /// barriers, also where there is but one group.
    /// </summary>
    /// <remarks>The barriers hand the one thread's release and acquire on to its group: nobody else needs a fence.</remarks>
    public static bool Is(ArrayView<int> tickets, int ticket, int groups, ArrayView<int> flag)
    {
        Group.Barrier();
        if (Group.IdxX == 0)
        {
            int others = 0;
            if (groups > 1)
            {
                others = groups - 1 - DeviceScope.FetchAdd(ref tickets[ticket], 1);
                if (others == 0)
                    tickets[ticket] = 0;
            }

            flag[0] = others;
        }

        Group.Barrier();
        return flag[0] == 0;
    }
}
