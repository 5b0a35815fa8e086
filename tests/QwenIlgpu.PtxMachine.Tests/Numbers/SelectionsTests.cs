using QwenIlgpu.PtxMachine.Numbers;

namespace QwenIlgpu.PtxMachine.Tests;

internal sealed class SelectionsTests
{
    // The manual's definition: the table is what the function makes of these three.
    [Test]
    public void Lop3DoesWhatItsTableSays([Range(0, 255)] int lut) =>
        Assert.That(Lop3(0xf0, 0xcc, 0xaa, (byte)lut) & 0xff, Is.EqualTo((uint)lut));

    [TestCase(0x96, 0x12345678u ^ 0x9abcdef0u ^ 0x0f1e2d3cu)]
    [TestCase(0x80, 0x12345678u & 0x9abcdef0u & 0x0f1e2d3cu)]
    [TestCase(0xfe, 0x12345678u | 0x9abcdef0u | 0x0f1e2d3cu)]
    [TestCase(0x1a, ((0x12345678u & 0x9abcdef0u) | 0x0f1e2d3cu) ^ 0x12345678u)]
    [TestCase(0xca, (0x12345678u & 0x9abcdef0u) | (~0x12345678u & 0x0f1e2d3cu))]
    public void Lop3WorksOnWholeWords(byte lut, uint expected) =>
        Assert.That(Lop3(0x12345678, 0x9abcdef0, 0x0f1e2d3c, lut), Is.EqualTo(expected));

    [TestCase(0x3210u, 0x8c7b6a59u)]
    [TestCase(0x7654u, 0x44332211u)]
    [TestCase(0x5410u, 0x22116a59u)]
    [TestCase(0x7632u, 0x44338c7bu)]
    [TestCase(0x0123u, 0x596a7b8cu)]
    [TestCase(0xba98u, 0xff000000u)]
    [TestCase(0x4440u, 0x11111159u)]
    [TestCase(0xffff3b80u, 0x8cff0059u)]
    public void PermuteTakesTheNamedBytes(uint selector, uint expected) =>
        Assert.That(Permute(selector, PermuteMode.Default), Is.EqualTo(expected));

    // Bytes from 0: 59 6a 7b 8c 11 22 33 44.
    [TestCase(PermuteMode.Forward4Extract, 0x8c7b6a59u, 0x118c7b6au, 0x22118c7bu, 0x3322118cu)]
    [TestCase(PermuteMode.Backward4Extract, 0x22334459u, 0x3344596au, 0x44596a7bu, 0x596a7b8cu)]
    [TestCase(PermuteMode.Replicate8, 0x59595959u, 0x6a6a6a6au, 0x7b7b7b7bu, 0x8c8c8c8cu)]
    [TestCase(PermuteMode.EdgeClampLeft, 0x8c7b6a59u, 0x8c7b6a6au, 0x8c7b7b7bu, 0x8c8c8c8cu)]
    [TestCase(PermuteMode.EdgeClampRight, 0x59595959u, 0x6a6a6a59u, 0x7b7b6a59u, 0x8c7b6a59u)]
    [TestCase(PermuteMode.Replicate16, 0x6a596a59u, 0x8c7b8c7bu, 0x6a596a59u, 0x8c7b8c7bu)]
    public void PermuteHasItsModes(int mode, uint first, uint second, uint third, uint fourth)
    {
        uint[] rows = [.. Enumerable.Range(0, 4).Select(n => Permute((uint)n | 0x5554, (PermuteMode)mode))];

        Assert.That(rows, Is.EqualTo(new[] { first, second, third, fourth }));
    }

    [Test]
    public void LanesHaveTheirOwnOperands()
    {
        uint[] a = [.. Enumerable.Range(0, 32).Select(i => (uint)i)];
        uint[] b = [.. Enumerable.Range(0, 32).Select(i => 100u + (uint)i)];
        uint[] selectors = [.. Enumerable.Range(0, 32).Select(i => i % 2 == 0 ? 0x0u : 0x4u)];
        uint[] exclusive = [.. a];
        Selections.Lop3(exclusive, b, selectors, 0x96, exclusive);
        Selections.Permute(a, b, selectors, PermuteMode.Default, a);

        Assert.Multiple(() =>
        {
            Assert.That(exclusive, Is.EqualTo(Enumerable.Range(0, 32).Select(i => (uint)(i ^ (100 + i) ^ (i % 2 * 4)))));
            Assert.That(a, Is.EqualTo(Enumerable.Range(0, 32).Select(i => (0x01010100u * (uint)i) + (uint)i + (i % 2 == 0 ? 0 : 100u))));
        });
    }

    private static uint Lop3(uint a, uint b, uint c, byte lut)
    {
        uint[] d = new uint[32];
        Selections.Lop3(All(a), All(b), All(c), lut, d);
        Assert.That(d, Is.All.EqualTo(d[0]));
        return d[0];
    }

    private static uint Permute(uint selector, PermuteMode mode)
    {
        uint[] d = new uint[32];
        Selections.Permute(All(0x8c7b6a59), All(0x44332211), All(selector), mode, d);
        Assert.That(d, Is.All.EqualTo(d[0]));
        return d[0];
    }

    private static uint[] All(uint word) => [.. Enumerable.Repeat(word, 32)];
}
