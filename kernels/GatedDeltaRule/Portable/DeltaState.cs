using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>Four neighbouring value columns of a state: [4, Dk], keys contiguous.</summary>
internal static class DeltaState
{
    public static void Clear<TWord>(ArrayView<TWord> columns)
        where TWord : unmanaged
    {
        for (int i = 0; i < columns.IntLength; i++)
            columns[i] = default;
    }

    /// <summary>The product of each column with one row of Dk keys.</summary>
    public static Float4 Dot<TWord, TState>(ArrayView<TWord> columns, ArrayView<Float4> k, int keyWords)
        where TWord : unmanaged
        where TState : struct, IDeltaStateFormat<TWord>
    {
        float s0 = 0;
        float s1 = 0;
        float s2 = 0;
        float s3 = 0;
        for (int i = 0; i < keyWords; i++)
        {
            Float4 ki = k[i];
            s0 += Float4.Dot(TState.Load(columns[i]), ki);
            s1 += Float4.Dot(TState.Load(columns[keyWords + i]), ki);
            s2 += Float4.Dot(TState.Load(columns[(2 * keyWords) + i]), ki);
            s3 += Float4.Dot(TState.Load(columns[(3 * keyWords) + i]), ki);
        }

        return new Float4(s0, s1, s2, s3);
    }
}
