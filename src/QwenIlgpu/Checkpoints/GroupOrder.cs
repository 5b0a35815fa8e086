using System.Runtime.InteropServices;

namespace QwenIlgpu;

/// <summary>
/// Act-order: GPTQ quantises inputs by how much they matter, so that those of a group, which share a scale, are no neighbours. Sorted by
/// group they are, and a matmul that gets its rows in that order needs to know nothing else of it.
/// </summary>
internal static class GroupOrder
{
    // compressed-tensors' value of every input where it has no order to tell; other writers leave zeros, which would be one group for all.
    private const int Unset = -1;

    /// <summary>The input at each place once inputs are sorted by group, within one as they were; null where they are sorted already.</summary>
    /// <exception cref="InvalidDataException">There is no such group, or one has not as many inputs as it must have.</exception>
    public static int[]? Read(Checkpoint checkpoint, TensorEntry gIdx, int groupSize)
    {
        var groups = new int[gIdx.Shape[0]];
        checkpoint.Read(gIdx, 0, MemoryMarshal.AsBytes(groups.AsSpan()));
        return Sort(groups, groupSize, $"{checkpoint.PathOf(gIdx)}: tensor {gIdx.Name}");
    }

    /// <summary>The same of the group of each input; tensor: what errors call them.</summary>
    public static int[]? Sort(ReadOnlySpan<int> groups, int groupSize, string tensor)
    {
        int inputs = groups.Length;
        if (!groups.ContainsAnyExcept(Unset) || !groups.ContainsAnyExcept(0))
            return null;
        var counts = new int[(inputs + groupSize - 1) / groupSize];
        bool areSorted = true;
        for (int i = 0; i < inputs; i++)
        {
            if ((uint)groups[i] >= (uint)counts.Length)
            {
                throw new InvalidDataException(
                    $"{tensor} puts input {i} in group {groups[i]}; {inputs} inputs in groups of {groupSize} have the groups 0 to {counts.Length - 1}");
            }

            counts[groups[i]]++;
            areSorted &= groups[i] == i / groupSize;
        }

        for (int g = 0; g < counts.Length; g++)
        {
            int expected = Math.Min(groupSize, inputs - (g * groupSize));
            if (counts[g] != expected)
                throw new InvalidDataException($"{tensor} puts {counts[g]} inputs in group {g}, which must have {expected}");
        }

        if (areSorted)
            return null;
        int[] next = [.. counts.Select((_, g) => g * groupSize)];
        var order = new int[inputs];
        for (int i = 0; i < inputs; i++)
            order[next[groups[i]]++] = i;
        return order;
    }
}
