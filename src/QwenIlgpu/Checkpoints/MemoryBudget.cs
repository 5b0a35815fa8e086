namespace QwenIlgpu;

/// <summary>Memory that reading one file's description may take: the file's own size and 64 MiB.</summary>
internal struct MemoryBudget(string file, long fileBytes)
{
    private const long Extra = 64L << 20;

    private long left = fileBytes + Extra;

    /// <summary>Takes <paramref name="bytes"/> of the budget, or refuses the file.</summary>
    public void Charge(long bytes)
    {
        left -= bytes;
        if (left < 0)
        {
            throw new InvalidDataException(
                $"{file}: describes more tensors than {fileBytes + Extra} bytes of memory hold, the limit for a file of {fileBytes} bytes");
        }
    }
}
