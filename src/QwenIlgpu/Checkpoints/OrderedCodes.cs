using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace QwenIlgpu;

/// <summary>
/// Words of 4-bit codes with their inputs in another order: place p has input order[p]. Those of a 27B take one core ten
/// seconds, twenty as compressed-tensors has them.
/// </summary>
internal static class OrderedCodes
{
    private const int Nibbles = 8;
    private const ulong LowNibbles = 0x0F0F0F0F0F0F0F0F;

    /// <summary>Lines of GPTQ's [K / 8, N]: nibble j of line r is input order[8r + j].</summary>
    /// <param name="words">All that there are, as they are stored.</param>
    /// <param name="outputs">N, a multiple of 8.</param>
    /// <param name="order">The inputs of the lines asked for.</param>
    /// <param name="lines">Where they go.</param>
    public static void GatherGptq(ReadOnlySpan<int> words, int outputs, ReadOnlySpan<int> order, Span<int> lines)
    {
        // A strip of all stored lines stays in a core's cache: each line of it is read eight times.
        const int StripWords = 64;
        for (int strip = 0; strip < outputs; strip += StripWords)
        {
            int width = Math.Min(StripWords, outputs - strip);
            for (int place = 0; place < order.Length; place += Nibbles)
            {
                Span<int> line = lines.Slice((place / Nibbles * outputs) + strip, width);
                MergeNibbles(words[strip..], outputs, order.Slice(place, Nibbles), line);
            }
        }
    }

    /// <summary>Lines of AWQ's [K, N / 8], an input each.</summary>
    /// <param name="words">All that there are, as they are stored.</param>
    /// <param name="lineWords">N / 8.</param>
    /// <param name="order">The inputs of the lines asked for.</param>
    /// <param name="lines">Where they go.</param>
    public static void GatherAwq(ReadOnlySpan<int> words, int lineWords, ReadOnlySpan<int> order, Span<int> lines)
    {
        for (int place = 0; place < order.Length; place++)
            words.Slice(order[place] * lineWords, lineWords).CopyTo(lines[(place * lineWords)..]);
    }

    /// <summary>Whole lines of compressed-tensors' [N, K / 8], in place: nibble j of word c is input order[8c + j].</summary>
    public static void ReorderCompressedTensors(Span<int> lines, ReadOnlySpan<int> order)
    {
        int lineWords = order.Length / Nibbles;
        var codes = new byte[order.Length];
        for (int first = 0; first < lines.Length; first += lineWords)
        {
            Span<int> line = lines.Slice(first, lineWords);
            Span<ulong> octets = MemoryMarshal.Cast<byte, ulong>(codes.AsSpan());
            for (int word = 0; word < line.Length; word++)
                octets[word] = Bytes((uint)line[word]);
            for (int word = 0; word < line.Length; word++)
            {
                ReadOnlySpan<int> inputs = order.Slice(word * Nibbles, Nibbles);
                int merged = 0;
                for (int j = 0; j < Nibbles; j++)
                    merged |= codes[inputs[j]] << (4 * j);
                line[word] = merged;
            }
        }
    }

    // One code each of eight inputs for every output of a strip.
    private static void MergeNibbles(ReadOnlySpan<int> strip, int outputs, ReadOnlySpan<int> inputs, Span<int> line)
    {
        Span<int> starts = stackalloc int[Nibbles];
        Span<int> shifts = stackalloc int[Nibbles];
        for (int j = 0; j < Nibbles; j++)
            (starts[j], shifts[j]) = (inputs[j] / Nibbles * outputs, 4 * (inputs[j] % Nibbles));
        for (int output = 0; output < line.Length; output += Vector256<int>.Count)
        {
            Vector256<int> merged = default;
            for (int j = 0; j < Nibbles; j++)
            {
                Vector256<int> words = Vector256.Create(strip.Slice(starts[j] + output, Vector256<int>.Count));
                merged |= ((words >>> shifts[j]) & Vector256.Create(15)) << (4 * j);
            }

            merged.CopyTo(line[output..]);
        }
    }

    // A byte for each nibble, in their order.
    private static ulong Bytes(uint word)
    {
        ulong spread = (word | ((ulong)word << 16)) & 0x0000FFFF0000FFFF;
        spread = (spread | (spread << 8)) & 0x00FF00FF00FF00FF;
        return (spread | (spread << 4)) & LowNibbles;
    }
}
