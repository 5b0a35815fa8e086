using System.Runtime.InteropServices;
using ILGPU;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>ldmatrix against the matrices themselves, element by element.</summary>
[TestFixtureSource(typeof(WarpDevice), nameof(WarpDevice.Names))]
[NonParallelizable]
internal sealed class LoadMatrixTests(string deviceName)
{
    private readonly ushort[] elements = [.. Enumerable.Range(1000, 32 * 8).Select(v => (ushort)v)];
    private readonly int[] order = [.. Enumerable.Range(0, 32).Select(l => (11 * l + 3) % 32)];
    private uint[] results = [];

    [OneTimeSetUp]
    public void Run()
    {
        TestDevice device = WarpDevice.Named(deviceName);
        var kernel = new LoadMatrixKernel(
            device.Upload(MemoryMarshal.Cast<ushort, UInt4>(elements).ToArray()),
            device.Upload(order),
            device.Poisoned<uint>(32 * LoadMatrixKernel.Words));
        device.Run(LoadMatrixKernel.Matrices, new KernelConfig(1, 32), kernel);
        results = device.Download(kernel.Results);
        device.Release();
    }

    [TestCase(0, false)]
    [TestCase(4, true)]
    public void GivesEachLaneItsTwoElements(int firstWord, bool transposed)
    {
        for (int lane = 0; lane < 32; lane++)
        {
            for (int matrix = 0; matrix < 4; matrix++)
            {
                int line = lane / 4;
                int place = lane % 4 * 2;
                uint first = transposed ? Element(matrix, place, line) : Element(matrix, line, place);
                uint second = transposed ? Element(matrix, place + 1, line) : Element(matrix, line, place + 1);
                uint word = results[(lane * LoadMatrixKernel.Words) + firstWord + matrix];
                Assert.That(word, Is.EqualTo(first | (second << 16)), $"lane {lane}, matrix {matrix}");
            }
        }
    }

    // Lane 8 · matrix + row names the row.
    private uint Element(int matrix, int row, int column) => elements[(order[(8 * matrix) + row] * 8) + column];
}
