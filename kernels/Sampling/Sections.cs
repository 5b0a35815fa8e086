using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>Cuts one allocation into views that start at multiples of 256 bytes. Without memory it only measures.</summary>
internal sealed class Sections(ArrayView<byte> memory)
{
    private const long Alignment = 256;

    public long Bytes { get; private set; }

    public ArrayView<T> Next<T>(long length)
        where T : unmanaged
    {
        // ILGPU counts where a view begins in its elements and rounds down: one cast to another size would begin before its section.
        int elementBytes = Interop.SizeOf<T>();
        if (Alignment % elementBytes != 0)
            throw new ArgumentException($"{typeof(T).Name} takes {elementBytes} bytes, which {Alignment} is no multiple of");
        long bytes = length * elementBytes;
        long offset = Bytes;
        Bytes += (bytes + Alignment - 1) / Alignment * Alignment;
        return memory.Length == 0 ? default : memory.SubView(offset, bytes).Cast<T>();
    }

    public Matrix<T> Next<T>(int rows, int columns)
        where T : unmanaged => new(Next<T>((long)rows * columns), rows, columns);
}
