using System.Runtime.InteropServices;

namespace QwenIlgpu.Tests;

/// <summary>Inputs that are not in the order of their groups: the order, the words in it, and the rows of x that go with them.</summary>
internal sealed class ActOrderTests
{
    [TestCase(new[] { 0, 0, 1, 1 }, 2, null)]
    [TestCase(new[] { 0, 0, 0, 1 }, 3, null)]
    [TestCase(new[] { -1, -1, -1, -1 }, 2, null)]
    [TestCase(new[] { 0, 0, 0, 0 }, 2, null)]
    [TestCase(new[] { 1, 0, 1, 0 }, 2, new[] { 1, 3, 0, 2 })]
    [TestCase(new[] { 1, 0, 0, 0 }, 3, new[] { 1, 2, 3, 0 })]
    public void InputsOfAGroupStandTogetherAsTheyWere(int[] groups, int groupSize, int[]? order) =>
        Assert.That(GroupOrder.Sort(groups, groupSize, "g"), Is.EqualTo(order));

    [TestCase(new[] { 0, 1, 1, 1 }, "g puts 1 inputs in group 0, which must have 2")]
    [TestCase(new[] { 0, 0, 0, 1 }, "g puts 3 inputs in group 0, which must have 2")]
    [TestCase(new[] { 0, 0, 1, 1, 1 }, "g puts 3 inputs in group 1, which must have 2")]
    [TestCase(new[] { 0, 0, 1, 2 }, "g puts input 3 in group 2; 4 inputs in groups of 2 have the groups 0 to 1")]
    [TestCase(new[] { 0, -1, 1, 1 }, "g puts input 1 in group -1; 4 inputs in groups of 2 have the groups 0 to 1")]
    public void GroupsThatCannotBeAreRefused(int[] groups, string message) => Assert.That(
        () => GroupOrder.Sort(groups, 2, "g"), Throws.InstanceOf<InvalidDataException>().With.Message.EqualTo(message));

    [Test]
    public void CodesOfWordsToldByHand()
    {
        int[] order = [.. Enumerable.Range(0, 16).Reverse()];
        int[] expected = [unchecked((int)0x89ABCDEF), 0x01234567];
        int[] row = [0x76543210, unchecked((int)0xFEDCBA98)];
        int[] gptq = [.. row.SelectMany(word => Enumerable.Repeat(word, 8))];
        var gathered = new int[16];

        OrderedCodes.GatherGptq(gptq, 8, order, gathered);
        OrderedCodes.ReorderCompressedTensors(row, order);

        Assert.That(gathered, Is.EqualTo(expected.SelectMany(word => Enumerable.Repeat(word, 8))));
        Assert.That(row, Is.EqualTo(expected));
    }

    // Of five lines of 136 outputs, which are two strips and a bit, lines 1 to 3.
    [Test]
    public void GptqLinesHoldTheCodesOfTheirInputs()
    {
        (int[] words, int[] order) = Random(5 * 136, 40);
        var lines = new int[3 * 136];

        OrderedCodes.GatherGptq(words, 136, order.AsSpan(8, 24), lines);

        for (int i = 0; i < 24 * 136; i++)
        {
            (int place, int output) = (i / 136, i % 136);
            int input = order[8 + place];
            Assert.That(Nibble(lines[(place / 8 * 136) + output], place % 8), Is.EqualTo(Nibble(words[(input / 8 * 136) + output], input % 8)));
        }
    }

    [Test]
    public void CompressedTensorsLinesHoldTheCodesOfTheirInputs()
    {
        (int[] words, int[] order) = Random(3 * 5, 40);
        int[] lines = [.. words];

        OrderedCodes.ReorderCompressedTensors(lines, order);

        for (int i = 0; i < 3 * 40; i++)
        {
            (int output, int place) = (i / 40, i % 40);
            Assert.That(
                Nibble(lines[(output * 5) + (place / 8)], place % 8), Is.EqualTo(Nibble(words[(output * 5) + (order[place] / 8)], order[place] % 8)));
        }
    }

    [Test]
    public void AwqLinesAreThoseOfTheirInputs()
    {
        (int[] words, int[] order) = Random(40 * 3, 40);
        var lines = new int[16 * 3];

        OrderedCodes.GatherAwq(words, 3, order.AsSpan(8, 16), lines);

        Assert.That(lines, Is.EqualTo(order[8..24].SelectMany(input => words[(3 * input)..(3 * (input + 1))])));
    }

    // Six delta net layers and two of attention.
    [Test]
    public async Task RowsAreGatheredOnceForAllThatHaveTheOrder()
    {
        (TinyCopy copy, _) = Int4Dialect.ActOrder.Write();
        using TinyCopy written = copy;
        await using QwenModel model = TestModels.Load(copy.Path);
        using var sequences = new SequenceRunner(model);

        OpGraph graph = sequences.Runner.GraphOf(StepShape.Decode(1)).Graph;

        var attention = (GatedAttention)model.Weights.Layers[3].Mixer;
        var delta = (GatedDeltaNet)model.Weights.Layers[0].Mixer;
        Assert.That(attention.KProj.Order, Is.Not.Null.And.SameAs(attention.VProj.Order).And.Not.SameAs(attention.QProj.Order));
        Assert.That(delta.InProjQkv.Order, Is.Not.Null.And.Not.SameAs(delta.InProjZ.Order));
        Assert.That((delta.OutProj.Order, delta.InProjA.Order), Is.EqualTo(((InputOrder?)null, (InputOrder?)null)));
        Node[] gathers = [.. graph.Nodes.Where(n => n.Op == "gather_columns")];
        Assert.That(
            gathers.GroupBy(n => n.Scope!.Part).Select(g => (g.Key, g.Count())),
            Is.EquivalentTo([("linear_attn", 6 * 2), ("self_attn", 2 * 3), ("mlp", 8 * 2)]));
        Assert.That(gathers, Has.All.Matches<Node>(n => n!.MovedBytes == 3 * sizeof(float) * n.Reads[0].Columns && n.LaunchCount == 1));
    }

    private static (int[] Words, int[] Order) Random(int words, int inputs)
    {
        var random = new Random(words);
        var bits = new int[words];
        random.NextBytes(MemoryMarshal.AsBytes(bits.AsSpan()));
        int[] order = [.. Enumerable.Range(0, inputs)];
        random.Shuffle(order);
        return (bits, order);
    }

    private static int Nibble(int word, int at) => (word >>> (4 * at)) & 15;
}
