using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Norm and rotation of one head of one row an item, query heads before key heads.
/// q: [T, H · 2 · Hd], k: [T, Hkv · Hd], float in words of four; positions: [T].
/// </summary>
internal readonly partial struct QkNormRotaryKernel(
    Matrix<Float4> q,
    Matrix<Float4> k,
    int heads,
    int kvHeads,
    int headWords,
    QkNormWords norms,
    ArrayView<int> positions) : IPortableKernel
{
    public int Items => q.Rows * (heads + kvHeads);

    public static void QkNormRotary(Index1D thread, int threads, QkNormRotaryKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / (heads + kvHeads);
        int head = item - (row * (heads + kvHeads));
        if (head < heads)
            NormAndTurn(q.Row(row).SubView(head * 2 * headWords, headWords), norms.Q, positions[row]);
        else
            NormAndTurn(k.Row(row).SubView((head - heads) * headWords, headWords), norms.K, positions[row]);
    }

    private void NormAndTurn(ArrayView<Float4> x, ArrayView<Float4> weight, int position)
    {
        float squares = 0;
        for (int i = 0; i < headWords; i++)
        {
            Float4 value = x[i];
            squares += Float4.Dot(value, value);
        }

        float scale = 1 / XMath.Sqrt((squares / (4 * headWords)) + norms.Eps);
        for (int i = 0; i < headWords; i++)
        {
            Float4 value = x[i];
            Float4 w = weight[i];
            x[i] = new Float4(
                value.X * scale * (1 + w.X), value.Y * scale * (1 + w.Y), value.Z * scale * (1 + w.Z), value.W * scale * (1 + w.W));
        }

        ArrayView<float> elements = x.Cast<float>();
        for (int i = 0; i < norms.Rotary.Frequencies; i++)
        {
            Rotation turn = norms.Rotary.At(position, i);
            float a = elements[i];
            float b = elements[i + norms.Rotary.Frequencies];
            elements[i] = (a * turn.Cos) - (b * turn.Sin);
            elements[i + norms.Rotary.Frequencies] = (b * turn.Cos) + (a * turn.Sin);
        }
    }
}

/// <summary><see cref="QkNormWeights"/>, the weights in words of four.</summary>
internal readonly struct QkNormWords(string op, QkNormWeights norms)
{
    public readonly ArrayView<Float4> Q = Float4.Words(op, "qNorm", new Matrix<float>(norms.Q, 1, (int)norms.Q.Length)).Data;
    public readonly ArrayView<Float4> K = Float4.Words(op, "kNorm", new Matrix<float>(norms.K, 1, (int)norms.K.Length)).Data;
    public readonly RotaryView Rotary = norms.Rotary;
    public readonly float Eps = norms.Eps;
}
