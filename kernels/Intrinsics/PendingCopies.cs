using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// The copies that a thread of the CPU accelerator has started and not yet waited for. Each of ILGPU's threads belongs to one OS thread;
/// copies left over when its group ends are dropped, as their memory is gone.
/// </summary>
internal static unsafe class PendingCopies
{
    private const byte Poison = 0xff;

    [ThreadStatic]
    private static List<Copy>? copies;

    [ThreadStatic]
    private static int committedGroups;

    [ThreadStatic]
    private static CpuThread.GroupIdentity owner;

    public static void Start<T>(ref T target, ref T source)
        where T : unmanaged => Add(Unsafe.AsPointer(ref target), Unsafe.AsPointer(ref source), sizeof(T));

    public static void StartZero<T>(ref T target)
        where T : unmanaged => Add(Unsafe.AsPointer(ref target), null, sizeof(T));

    public static void Commit()
    {
        OfThisGroup();
        committedGroups++;
    }

    /// <summary>Delivers every committed group but the last ones.</summary>
    public static void Wait(int lastGroups)
    {
        List<Copy> pending = OfThisGroup();
        int delivered = 0;
        while (delivered < pending.Count && pending[delivered].Group < committedGroups - lastGroups)
            pending[delivered++].Deliver();
        pending.RemoveRange(0, delivered);
    }

    private static void Add(void* target, void* source, int bytes)
    {
        OfThisGroup().Add(new Copy((nint)target, (nint)source, bytes, committedGroups));
        new Span<byte>(target, bytes).Fill(Poison);
    }

    private static List<Copy> OfThisGroup()
    {
        List<Copy> pending = copies ??= [];
        CpuThread.GroupIdentity current = CpuThread.CurrentGroup();
        if (owner != current)
        {
            pending.Clear();
            committedGroups = 0;
            owner = current;
        }

        return pending;
    }

    private readonly record struct Copy(nint Target, nint Source, int Bytes, int Group)
    {
        public void Deliver()
        {
            var target = new Span<byte>((void*)Target, Bytes);
            if (Source == 0)
                target.Clear();
            else
                new ReadOnlySpan<byte>((void*)Source, Bytes).CopyTo(target);
        }
    }
}
