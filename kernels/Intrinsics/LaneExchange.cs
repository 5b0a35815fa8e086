using System.Runtime.CompilerServices;
using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// How the body of a warp's instruction hands words from lane to lane on the CPU accelerator: <see cref="Begin"/>, each lane puts up to
/// eight words, <see cref="Synchronise"/>, each lane gets whatever it needs. Groups are one-dimensional and consist of whole warps of 32.
/// </summary>
internal static class LaneExchange
{
    public const int WarpSize = 32;

    /// <summary>Words that a lane can put.</summary>
    public const int Words = 8;

    [ThreadStatic]
    private static WarpWords? warpWords;

    /// <summary>This thread's lane.</summary>
    public static int Lane => Group.IdxX & (WarpSize - 1);

    public static void Begin() => Current.Begin(Lane);

    public static void Put(int word, uint value) => Current.At(Lane, Lane, word) = value;

    public static void Synchronise() => Warp.Barrier();

    public static uint Get(int lane, int word) => Current.At(Lane, lane, word);

    // A thread of the CPU accelerator belongs to one warp for life.
    private static WarpWords Current => warpWords ??= WarpWords.Of(CpuThread.CurrentWarp());

    /// <summary>
    /// The words of one warp, twice: a lane that is ahead puts its next words while others still get the last ones, and the barrier
    /// between put and get keeps it from getting further ahead than that.
    /// </summary>
    private sealed class WarpWords
    {
        private static readonly ConditionalWeakTable<object, WarpWords> Warps = [];

        private readonly uint[] words = new uint[2 * WarpSize * Words];
        private readonly int[] turn = new int[WarpSize];

        public static WarpWords Of(object warp)
        {
            if (Warp.WarpSize != WarpSize)
            {
                throw new NotSupportedException(
                    $"warps of this CPU accelerator have {Warp.WarpSize} lanes; the bodies of warp instructions need {WarpSize}");
            }

            return Warps.GetValue(warp, _ => new WarpWords());
        }

        public void Begin(int reader) => turn[reader] ^= 1;

        public ref uint At(int reader, int lane, int word) => ref words[(((turn[reader] * WarpSize) + lane) * Words) + word];
    }
}
