using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// A token's place in the ranking, as one integer: a greater number ranks before a smaller one. Bits 63…32 order the score, bits 31…0
/// hold the complement of the id, so that of equal scores the lower id ranks first. Zero is no token; NaN and −∞ are never ranked. Before every
/// token ranks <see cref="NonFinite"/>, so that one in any part of a row is the first of the whole.
/// </summary>
internal static class RankedToken
{
    public const ulong None = 0;

    /// <summary>No token: the row holds a logit that is NaN or infinite.</summary>
    public const ulong NonFinite = ulong.MaxValue;

    public static ulong Of(float score, int id) => ((ulong)Order(score) << 32) | ~(uint)id;

    public static float Score(ulong ranked)
    {
        uint order = (uint)(ranked >> 32);
        return Interop.IntAsFloat((order & 0x80000000u) != 0 ? order & 0x7fffffffu : ~order);
    }

    public static int Id(ulong ranked) => (int)~(uint)ranked;

    /// <summary>The id that sampling reports for the first in rank.</summary>
    public static int Drawn(ulong first) =>
        first == NonFinite ? DrawnId.NonFinite : first == None ? DrawnId.Nothing : Id(first);

    /// <summary>Unsigned bits that compare as the floats do; the two zeros are one.</summary>
    public static uint Order(float score)
    {
        uint bits = Interop.FloatAsInt(score);
        if (bits == 0x80000000u)
            bits = 0;
        return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
    }
}

/// <summary>What stands in the place of a drawn token's id where there is none.</summary>
internal static class DrawnId
{
    /// <summary>Nothing can be drawn: every token is masked or has a bias of −∞.</summary>
    public const int Nothing = -1;

    /// <summary>The row holds a logit which is NaN or infinite.</summary>
    public const int NonFinite = -2;
}
