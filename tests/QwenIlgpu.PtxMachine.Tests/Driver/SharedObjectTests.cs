using System.Runtime.InteropServices;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>The library in memory: the loader takes it, under its name, and its functions are what the table holds.</summary>
[Platform("Linux", Reason = "an object of Linux")]
internal sealed unsafe class SharedObjectTests
{
    [Test]
    public void JumpsToWhatTheTableHolds()
    {
        string[] names = [.. Enumerable.Range(0, 700).Select(i => $"function_{i}")];
        nint library = SharedObject.Load("libjumps.so.3", names);
        nint* table = (nint*)NativeLibrary.GetExport(library, SharedObject.Table);
        for (int i = 0; i < names.Length; i++)
            table[i] = (nint)(delegate* unmanaged<int, int, int>)(i % 2 == 0 ? &Add : &Subtract);

        // More than one page of jumps, so that neither the distance nor the name goes wrong at the end.
        Assert.That(Call(library, names[0]), Is.EqualTo(12));
        Assert.That(Call(library, names[1]), Is.EqualTo(2));
        Assert.That(Call(library, names[^2]), Is.EqualTo(12));
        Assert.That(Call(library, names[^1]), Is.EqualTo(2));
    }

    [Test]
    public void IsFoundByItsName()
    {
        Assert.That(NativeLibrary.TryLoad("libnamed.so.7", out _), Is.False);

        nint library = SharedObject.Load("libnamed.so.7", ["one"]);

        Assert.That(NativeLibrary.Load("libnamed.so.7"), Is.EqualTo(library));
        Assert.That(SharedObject.Load("libother.so.7", ["one"]), Is.Not.EqualTo(library));
    }

    [UnmanagedCallersOnly]
    private static int Add(int left, int right) => left + right;

    [UnmanagedCallersOnly]
    private static int Subtract(int left, int right) => left - right;

    private static int Call(nint library, string name) =>
        ((delegate* unmanaged<int, int, int>)NativeLibrary.GetExport(library, name))(7, 5);
}
