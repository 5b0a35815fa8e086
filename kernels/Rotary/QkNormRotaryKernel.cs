using ILGPU;
using ILGPU.Algorithms;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Norm and rotation of one head of one row an item, query heads before key heads.
/// q: [T, H · 2 · Hd], k: [T, Hkv · Hd], qNorm, kNorm: [Hd], all float in words of four; positions: [T].
/// </summary>
internal readonly partial struct QkNormRotaryKernel(
    Matrix<Float4> q,
    Matrix<Float4> k,
    int heads,
    int kvHeads,
    int headWords,
    ArrayView<Float4> qNorm,
    ArrayView<Float4> kNorm,
    ArrayView<int> positions,
    RotaryView rotary,
    float eps) : IPortableKernel
{
    public int Items => q.Rows * (heads + kvHeads);

    public static void QkNormRotary(Index1D thread, int threads, QkNormRotaryKernel kernel) => PortableLoop.Run(thread, threads, kernel);

    public void Execute(int item)
    {
        int row = item / (heads + kvHeads);
        int head = item - (row * (heads + kvHeads));
        if (head < heads)
            NormAndTurn(q.Row(row).SubView(head * 2 * headWords, headWords), qNorm, positions[row]);
        else
            NormAndTurn(k.Row(row).SubView((head - heads) * headWords, headWords), kNorm, positions[row]);
    }

    private void NormAndTurn(ArrayView<Float4> x, ArrayView<Float4> weight, int position)
    {
        float squares = 0;
        for (int i = 0; i < headWords; i++)
        {
            Float4 value = x[i];
            squares += Float4.Dot(value, value);
        }

        float scale = 1 / XMath.Sqrt((squares / (4 * headWords)) + eps);
        for (int i = 0; i < headWords; i++)
        {
            Float4 value = x[i];
            Float4 w = weight[i];
            x[i] = new Float4(
                value.X * scale * (1 + w.X), value.Y * scale * (1 + w.Y), value.Z * scale * (1 + w.Z), value.W * scale * (1 + w.W));
        }

        ArrayView<float> elements = x.Cast<float>();
        for (int i = 0; i < rotary.Frequencies; i++)
        {
            Rotation turn = rotary.At(position, i);
            float a = elements[i];
            float b = elements[i + rotary.Frequencies];
            elements[i] = (a * turn.Cos) - (b * turn.Sin);
            elements[i + rotary.Frequencies] = (b * turn.Cos) + (a * turn.Sin);
        }
    }
}
