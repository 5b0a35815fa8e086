namespace QwenIlgpu.Kernels.Tests;

/// <summary>Reads the lanes of rows 2 and 4 of a tile in each other's place.</summary>
internal readonly struct SwappedLanes : IDequantIndices
{
    public static int FirstLane(int row) => DequantIndices.FirstLane(row == 2 ? 4 : row == 4 ? 2 : row);

    public static int ScaleIndex(int group, int row) => DequantIndices.ScaleIndex(group, row);

    public static int EndOfTail(int columns) => DequantIndices.EndOfTail(columns);
}

/// <summary>Gives the second group the scale of the first.</summary>
internal readonly struct NeighboursScale : IDequantIndices
{
    public static int FirstLane(int row) => DequantIndices.FirstLane(row);

    public static int ScaleIndex(int group, int row) => DequantIndices.ScaleIndex(group == 1 ? 0 : group, row);

    public static int EndOfTail(int columns) => DequantIndices.EndOfTail(columns);
}

/// <summary>Leaves the last k out.</summary>
internal readonly struct ShortTail : IDequantIndices
{
    public static int FirstLane(int row) => DequantIndices.FirstLane(row);

    public static int ScaleIndex(int group, int row) => DequantIndices.ScaleIndex(group, row);

    public static int EndOfTail(int columns) => DequantIndices.EndOfTail(columns) - 1;
}

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
