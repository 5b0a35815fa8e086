using ILGPU;
using ILGPU.Runtime;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What sampling keeps for each sequence slot, in device memory. Slot 0 is reserved for padding rows: all its parameters are zero
/// (greedy) and sampling never writes to it.
/// </summary>
internal readonly struct SamplingSlots
{
    /// <summary>[slots]</summary>
    public readonly ArrayView<SlotParameters> Parameters;

    /// <summary>[slots] index of the next generated token; each sampled row advances it.</summary>
    public readonly ArrayView<int> DrawIndex;

    /// <summary>[slots, V] added to the logits.</summary>
    public readonly Matrix<float> Bias;

    /// <summary>[slots, V / 32 rounded up] bit id % 32 of word id / 32: the token may be drawn.</summary>
    public readonly Matrix<uint> Allowed;

    /// <summary>[slots, V] how often a token was generated, in bits 0…30; bit 31: it is in the prompt.</summary>
    public readonly Matrix<int> Seen;

    private SamplingSlots(Sections sections, int slots, int vocabularySize)
    {
        Parameters = sections.Next<SlotParameters>(slots);
        DrawIndex = sections.Next<int>(slots);
        Bias = sections.Next<float>(slots, vocabularySize);
        Allowed = sections.Next<uint>(slots, WordsOf(vocabularySize));
        Seen = sections.Next<int>(slots, vocabularySize);
    }

    public const int InPrompt = int.MinValue;
    public const int GeneratedCount = int.MaxValue;

    public int Slots => Bias.Rows;

    public int VocabularySize => Bias.Columns;

    /// <summary>Words of 32 bits in one slot's mask.</summary>
    public static int WordsOf(int vocabularySize) => (vocabularySize + 31) / 32;

    /// <summary>Bytes of all slots together, slot 0 included.</summary>
    public static long SizeInBytes(int slots, int vocabularySize)
    {
        var sections = new Sections(default);
        _ = new SamplingSlots(sections, slots, vocabularySize);
        return sections.Bytes;
    }

    /// <summary>Views into <paramref name="memory"/>, which the owner has set to zero. vocabularySize is the tokenizer's.</summary>
    public static SamplingSlots In(ArrayView<byte> memory, int slots, int vocabularySize)
    {
        long needed = SizeInBytes(slots, vocabularySize);
        Require.That("sampling_slots", memory.Length >= needed,
            $"{memory.Length} bytes given, {slots} slots of {vocabularySize} tokens need {needed}");
        return new SamplingSlots(new Sections(memory), slots, vocabularySize);
    }
}

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
