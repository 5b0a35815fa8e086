using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Scores of a block of the vocabulary in a CPU thread's own memory, as <see cref="RowScores"/> defines them, −∞ behind the last up to a
/// whole vector; and what shares ask of them. A block begins at a whole mask word.
/// </summary>
internal readonly unsafe ref struct ScoreBlock
{
    private readonly float* scores;
    private readonly int from;
    private readonly int padded;

    private ScoreBlock(float* scores, int from, int padded)
    {
        this.scores = scores;
        this.from = from;
        this.padded = padded;
    }

    /// <summary>The scores, <see cref="Padded"/> of them.</summary>
    public float* Scores => scores;

    public int Padded => padded;

    /// <summary>The scores of ids from … to − 1, and whether their logits are finite. It is the thread's scratch until the next.</summary>
    public static ScoreBlock Of(RowScores row, int from, int to, out bool isFinite)
    {
        int count = Math.Max(to - from, 0);
        int padded = (count + CpuVectors.Width - 1) / CpuVectors.Width * CpuVectors.Width;
        float* scores = CpuVectors.Scratch(padded);
        isFinite = true;
        if (count == 0)
            return new ScoreBlock(scores, from, 0);
        int whole = count / CpuVectors.Width * CpuVectors.Width;
        isFinite = Copy(CpuVectors.Pointer(row.Logits) + from, scores, whole);
        SlotParameters parameters = row.Parameters;
        if (row.Adjusts && parameters.Has(SlotParameters.HasBias))
            AddBias(CpuVectors.Pointer(row.Bias) + from, scores, whole);
        if (row.Adjusts && parameters.Has(SlotParameters.HasPenalties))
            Penalise(CpuVectors.Pointer(row.Seen) + from, parameters, scores, whole);
        if (row.Adjusts && parameters.Has(SlotParameters.HasMask))
            Mask((ushort*)(CpuVectors.Pointer(row.Allowed) + (from / 32)), scores, whole);
        for (int i = whole; i < padded; i++)
        {
            scores[i] = i < count ? row.At(from + i) : float.NegativeInfinity;
            isFinite &= i >= count || RowScores.IsFinite(row.Logit(from + i));
        }

        return new ScoreBlock(scores, from, padded);
    }

    /// <summary>The first in rank, the lowest id of equals; none where all are NaN or −∞.</summary>
    public ulong Best()
    {
        float max = Max();
        return max == float.NegativeInfinity ? RankedToken.None : RankedToken.Of(max, from + IndexOf(max));
    }

    /// <summary>The greatest; NaN does not count.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public float Max()
    {
        var a = Vector512.Create(float.NegativeInfinity);
        Vector512<float> b = a;
        int i = 0;
        for (; i + CpuVectors.Width < padded; i += 2 * CpuVectors.Width)
        {
            a = Larger(Vector512.Load(scores + i), a);
            b = Larger(Vector512.Load(scores + i + CpuVectors.Width), b);
        }

        if (i < padded)
            a = Larger(Vector512.Load(scores + i), a);
        a = Larger(b, a);
        float max = float.NegativeInfinity;
        for (int lane = 0; lane < CpuVectors.Width; lane++)
            max = Math.Max(max, a.GetElement(lane));
        return max;
    }

    /// <summary>
    /// Takes over what is among the first <paramref name="k"/> into a list in ascending rank, which is a heap as well; returns the new
    /// count. The list may come from lower ids of the same row: an equal score then ranks behind those that it holds.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int AddTo(ArrayView<ulong> list, int count, int k)
    {
        ulong* first = CpuVectors.Pointer(list);
        float worst = count == k ? RankedToken.Score(first[0]) : float.NegativeInfinity;
        for (int i = 0; i < padded; i += CpuVectors.Width)
        {
            ulong above = Vector512.GreaterThan(Vector512.Load(scores + i), Vector512.Create(worst)).ExtractMostSignificantBits();
            for (; above != 0; above &= above - 1)
            {
                int place = i + BitOperations.TrailingZeroCount(above);
                if (!(scores[place] > worst))
                    continue;
                count = Insert(first, count, k, RankedToken.Of(scores[place], from + place));
                if (count == k)
                    worst = RankedToken.Score(first[0]);
            }
        }

        return count;
    }

    /// <summary>Σ exp((score − best) / temperature) over scores from the threshold on: floats, added up in double.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public double Mass(float best, float threshold, float temperature)
    {
        Vector512<double> low = default;
        Vector512<double> high = default;
        for (int i = 0; i < padded; i += CpuVectors.Width)
        {
            Vector512<float> score = Vector512.Load(scores + i);
            Vector512<float> mass = CpuVectors.Exp((score - Vector512.Create(best)) / Vector512.Create(temperature));
            mass = Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(score, Vector512.Create(threshold)), mass, Vector512<float>.Zero);
            low += Vector512.WidenLower(mass);
            high += Vector512.WidenUpper(mass);
        }

        return Vector512.Sum(low + high);
    }

    // A full list loses its last in rank, which the value has been found to precede.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static int Insert(ulong* list, int count, int k, ulong value)
    {
        var held = new Span<ulong>(list, count);
        int behind = ~held.BinarySearch(value);
        if (count < k)
        {
            held[behind..].CopyTo(new Span<ulong>(list + behind + 1, count - behind));
            list[behind] = value;
            return count + 1;
        }

        held[1..behind].CopyTo(held);
        list[behind - 1] = value;
        return count;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int IndexOf(float value)
    {
        for (int i = 0; i < padded; i += CpuVectors.Width)
        {
            ulong equal = Vector512.Equals(Vector512.Load(scores + i), Vector512.Create(value)).ExtractMostSignificantBits();
            if (equal != 0)
                return i + BitOperations.TrailingZeroCount(equal);
        }

        return -1;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Larger(Vector512<float> score, Vector512<float> max) =>
        Vector512.ConditionalSelect(Vector512.GreaterThan(score, max), score, max);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Copy(float* logits, float* scores, int count)
    {
        var exponent = Vector512.Create((int)RowScores.ExponentBits);
        Vector512<int> broken = default;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> logit = Vector512.Load(logits + i);
            logit.Store(scores + i);
            broken |= Vector512.Equals(logit.AsInt32() & exponent, exponent);
        }

        return broken == Vector512<int>.Zero;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AddBias(float* bias, float* scores, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
            (Vector512.Load(scores + i) + Vector512.Load(bias + i)).Store(scores + i);
    }

    // Few tokens of a vocabulary have occurred.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Penalise(int* seen, SlotParameters parameters, float* scores, int count)
    {
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            if (Vector512.Load(seen + i) != Vector512<int>.Zero)
                PenaliseSixteen(seen + i, parameters, scores + i);
        }
    }

    // As RowScores penalises one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PenaliseSixteen(int* seen, SlotParameters parameters, float* scores)
    {
        Vector512<int> occurrences = Vector512.Load(seen);
        Vector512<int> generated = occurrences & Vector512.Create(SamplingSlots.GeneratedCount);
        Vector512<float> score = Vector512.Load(scores);
        var repetition = Vector512.Create(parameters.RepetitionPenalty);
        Vector512<float> repeated = Vector512.ConditionalSelect(
            Vector512.GreaterThan(score, Vector512<float>.Zero), score / repetition, score * repetition);
        repeated = Vector512.ConditionalSelect(Vector512.Equals(occurrences, Vector512<int>.Zero).AsSingle(), score, repeated);
        Vector512<float> counted = repeated - ((Vector512.Create(parameters.FrequencyPenalty) * Vector512.ConvertToSingle(generated))
            + Vector512.Create(parameters.PresencePenalty));
        Vector512.ConditionalSelect(Vector512.Equals(generated, Vector512<int>.Zero).AsSingle(), repeated, counted).Store(scores);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Mask(ushort* allowed, float* scores, int count)
    {
        Vector512<int> bits = Vector512.Create(
            1, 1 << 1, 1 << 2, 1 << 3, 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8, 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14, 1 << 15);
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<int> forbidden = Vector512.Equals(Vector512.Create((int)allowed[i / CpuVectors.Width]) & bits, Vector512<int>.Zero);
            Vector512.ConditionalSelect(forbidden.AsSingle(), Vector512.Create(float.NegativeInfinity), Vector512.Load(scores + i))
                .Store(scores + i);
        }
    }
}
