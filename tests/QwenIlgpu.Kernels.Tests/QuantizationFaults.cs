namespace QwenIlgpu.Kernels.Tests;

/// <summary>Reads rows 2 and 3 in each other's place.</summary>
internal readonly struct SwappedRow : IInt4Source
{
    public static int Octets(Matrix<int> block) => GptqWords.Octets(block);

    public static uint Octet(Matrix<int> block, int row, int octet) =>
        GptqWords.Octet(block, row == 2 ? 3 : row == 3 ? 2 : row, octet);
}

/// <summary>Takes the last octet of k for padding.</summary>
internal readonly struct WithoutLastOctet : IInt4Source
{
    public static int Octets(Matrix<int> block) => GptqWords.Octets(block) - 1;

    public static uint Octet(Matrix<int> block, int row, int octet) => GptqWords.Octet(block, row, octet);
}

/// <summary>Gives every group the scales of the first.</summary>
internal readonly struct FirstGroupScale : IScaleSource
{
    public static ushort Scale(Matrix<ushort> source, int row, int group) => ScalesByGroup.Scale(source, row, 0);
}
