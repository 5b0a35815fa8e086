using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// What top-p keeps of a row's scores, and a draw from it, in vectors. The range of scores that holds the last kept is cut into nine by
/// the mass from each bound on, again and again, until the tokens in it fit a list or are all equal.
/// </summary>
internal readonly unsafe ref struct NucleusBlock(ScoreBlock block, SlotParameters parameters, float best)
{
    private const int Bounds = 9;

    // From this many tokens of a vector on it is weighed whole: one by one they would take longer.
    private const int Many = 3;
    private const int Chunk = 256;
    private const int PaddedChunk = Chunk + (2 * CpuVectors.Width);

    // Masses farther from the best are 0 in CpuVectors.Exp.
    private const float Farthest = 88;

    // Even steps of the score find a bound soonest; even steps of its order end, however dense the scores are.
    private const int PassesByScore = 4;

    private readonly float* scores = block.Scores;
    private readonly int count = block.Padded;
    private readonly float temperature = parameters.Temperature;

    // Where the first bounds lie below the best, in temperatures: the last at the best itself, which may have many equals.
    private static ReadOnlySpan<float> FirstDistances => [Farthest, 20, 14, 11, 8.5f, 6, 4, 2, 0];

    /// <summary>threshold: the least score that min-p leaves; list: tokens around the cut, at least one.</summary>
    public Nucleus Find(float threshold, ArrayView<ulong> list)
    {
        float* bounds = stackalloc float[Bounds];
        double* masses = stackalloc double[Bounds];
        float low = threshold;
        float end = MathF.BitIncrement(best);
        double before = 0;                              // of the scores from the range's end on
        double target = 0;
        for (int pass = 0; ; pass++)
        {
            SetBounds(pass, low, end, bounds);
            Weigh(bounds, end, masses);
            if (pass == 0)
                target = parameters.TopP * masses[0];
            int last = Bounds - 1;
            while (last > 0 && before + masses[last] < target)
                last--;
            low = bounds[last];
            if (last < Bounds - 1)
            {
                end = bounds[last + 1];
                before += masses[last + 1];
            }

            if (RankedToken.Order(end) - RankedToken.Order(low) <= 1)
                return CutEquals(low, before, target);
            int listed = List(low, end, CpuVectors.Pointer(list), (int)list.Length);
            if (listed <= list.Length)
                return CutList(new Span<ulong>(CpuVectors.Pointer(list), listed), before, target);
        }
    }

    /// <summary>The first id, ascending, at which the mass of the kept tokens exceeds the uniform's share of all their mass.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public int Draw(Nucleus nucleus, double uniform)
    {
        double target = uniform * nucleus.Mass;
        double mass = 0;
        int last = -1;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> kept = KeptMasses(nucleus.Cutoff, i);
            if (kept == Vector512<float>.Zero)
                continue;
            double part = Vector512.Sum(Vector512.WidenLower(kept) + Vector512.WidenUpper(kept));
            if (mass + part > target)
                return i + Lane(kept, mass, target);
            mass += part;
            last = i;
        }

        return last < 0 ? DrawnId.Nothing : last + Lane(KeptMasses(nucleus.Cutoff, last), mass, double.PositiveInfinity);
    }

    // Ascending; the first is the range's own.
    private void SetBounds(int pass, float low, float end, float* bounds)
    {
        double width = Math.Min(end, float.MaxValue) - (double)low;
        uint order = RankedToken.Order(low);
        ulong orders = RankedToken.Order(end) - order;
        bounds[0] = low;
        for (int b = pass == 0 ? 0 : 1; b < Bounds; b++)
        {
            bounds[b] = pass == 0 ? Math.Max(low, best - (FirstDistances[b] * temperature))
                : pass < PassesByScore ? (float)(low + (width * b / Bounds))
                : RankedToken.Score((order + (orders * (uint)b / Bounds)) << 32);
        }
    }

    /// <summary>Σ exp((score − best) / temperature) from each bound on, of scores from the first bound to before the end.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Weigh(float* bounds, float end, double* masses)
    {
        float* chunk = stackalloc float[2 * PaddedChunk];
        Vector512<double>* sums = stackalloc Vector512<double>[Bounds];
        for (int b = 0; b < Bounds; b++)
            sums[b] = default;
        var first = Vector512.Create(bounds[0]);
        var last = Vector512.Create(end);
        int held = 0;
        for (int i = 0; i < count; i += CpuVectors.Width)
        {
            Vector512<float> score = Vector512.Load(scores + i);
            Vector512<float> isInside = Vector512.GreaterThanOrEqual(score, first) & Vector512.LessThan(score, last);
            ulong inside = isInside.ExtractMostSignificantBits();
            if (inside == 0)
                continue;
            if (BitOperations.PopCount(inside) >= Many)
            {
                Vector512.ConditionalSelect(isInside, score, Vector512.Create(float.NegativeInfinity)).Store(chunk + held);
                held += CpuVectors.Width;
            }
            else
            {
                for (; inside != 0; inside &= inside - 1)
                    chunk[held++] = scores[i + BitOperations.TrailingZeroCount(inside)];
            }

            if (held >= Chunk)
            {
                WeighChunk(chunk, held, bounds, sums);
                held = 0;
            }
        }

        WeighChunk(chunk, held, bounds, sums);
        for (int b = 0; b < Bounds; b++)
            masses[b] = Vector512.Sum(sums[b]);
    }

    // A few dozen floats are added up before doubles take over.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void WeighChunk(float* chunk, int held, float* bounds, Vector512<double>* sums)
    {
        float* masses = chunk + PaddedChunk;
        Vector512.Create(float.NegativeInfinity).Store(chunk + held);
        for (int i = 0; i < held; i += CpuVectors.Width)
            Masses(Vector512.Load(chunk + i)).Store(masses + i);
        for (int b = 0; b < Bounds; b++)
        {
            var bound = Vector512.Create(bounds[b]);
            Vector512<float> sum = default;
            for (int i = 0; i < held; i += CpuVectors.Width)
            {
                Vector512<float> reaches = Vector512.GreaterThanOrEqual(Vector512.Load(chunk + i), bound);
                sum += Vector512.ConditionalSelect(reaches, Vector512.Load(masses + i), Vector512<float>.Zero);
            }

            sums[b] += Vector512.WidenLower(sum) + Vector512.WidenUpper(sum);
        }
    }

    /// <summary>Lists what lies in the range; returns more than there is room for where it does not fit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int List(float low, float end, ulong* list, int room)
    {
        int listed = 0;
        for (int i = 0; i < count && listed <= room; i += CpuVectors.Width)
        {
            Vector512<float> score = Vector512.Load(scores + i);
            ulong inside = (Vector512.GreaterThanOrEqual(score, Vector512.Create(low)) & Vector512.LessThan(score, Vector512.Create(end)))
                .ExtractMostSignificantBits();
            for (; inside != 0 && listed <= room; inside &= inside - 1)
            {
                int id = i + BitOperations.TrailingZeroCount(inside);
                if (listed < room)
                    list[listed] = RankedToken.Of(scores[id], id);
                listed++;
            }
        }

        return listed;
    }

    private Nucleus CutList(Span<ulong> list, double mass, double target)
    {
        list.Sort();
        int kept = list.Length;
        do
            mass += Masses(Vector512.Create(RankedToken.Score(list[--kept]))).ToScalar();
        while (kept > 0 && mass < target);
        return new Nucleus(list[kept], mass);
    }

    // So many of the lowest ids, at least one.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private Nucleus CutEquals(float score, double before, double target)
    {
        double part = Masses(Vector512.Create(score)).ToScalar();
        double wanted = Math.Max(1, Math.Ceiling((target - before) / part));
        int kept = 0;
        int id = 0;
        for (int i = 0; i < count && kept < wanted; i += CpuVectors.Width)
        {
            ulong equal = Vector512.Equals(Vector512.Load(scores + i), Vector512.Create(score)).ExtractMostSignificantBits();
            for (; equal != 0 && kept < wanted; equal &= equal - 1)
            {
                id = i + BitOperations.TrailingZeroCount(equal);
                kept++;
            }
        }

        return new Nucleus(RankedToken.Of(score, id), before + (kept * part));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> KeptMasses(ulong cutoff, int id)
    {
        Vector512<float> score = Vector512.Load(scores + id);
        var last = Vector512.Create(RankedToken.Score(cutoff));
        Vector512<int> isNoLater = Vector512.LessThanOrEqual(
            Vector512<int>.Indices + Vector512.Create(id), Vector512.Create(RankedToken.Id(cutoff)));
        Vector512<float> isKept = Vector512.GreaterThan(score, last) | (Vector512.Equals(score, last) & isNoLater.AsSingle());
        return isKept.AsInt32() == Vector512<int>.Zero
            ? Vector512<float>.Zero
            : Vector512.ConditionalSelect(isKept, Masses(score), Vector512<float>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Vector512<float> Masses(Vector512<float> score) =>
        CpuVectors.Exp((score - Vector512.Create(best)) / Vector512.Create(temperature));

    // The first lane at which the mass exceeds the target, or the last that has any.
    private static int Lane(Vector512<float> masses, double mass, double target)
    {
        int drawn = 0;
        for (int lane = 0; lane < CpuVectors.Width && !(mass > target); lane++)
        {
            float part = masses.GetElement(lane);
            mass += part;
            if (part > 0)
                drawn = lane;
        }

        return drawn;
    }
}
