using ILGPU;

namespace QwenIlgpu.Kernels;

/// <summary>
/// Log-probabilities of the model's own distribution: log-softmax of the logits as the model gave them, over the tokenizer's ids, before
/// bias, mask, penalties, temperature and cuts. Rows whose slot asks for none get NaN in <see cref="Drawn"/>, and nothing is
/// written past the number of top tokens that a slot asks for. What stands there for a row with a logit that is NaN or infinite means nothing.
/// </summary>
/// <param name="drawn">[R] of the drawn token.</param>
/// <param name="topIds">[R, 20] ids of the most probable tokens, most probable first.</param>
/// <param name="top">[R, 20] their log-probabilities.</param>
internal readonly struct LogProbs(ArrayView<float> drawn, Matrix<int> topIds, Matrix<float> top)
{
    public readonly ArrayView<float> Drawn = drawn;
    public readonly Matrix<int> TopIds = topIds;
    public readonly Matrix<float> Top = top;
}
