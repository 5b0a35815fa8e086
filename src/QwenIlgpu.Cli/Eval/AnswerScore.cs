namespace QwenIlgpu.Cli.Eval;

/// <summary>How likely a model finds an answer behind a long prompt. Logits are computed for the answer's tokens only.</summary>
internal sealed class AnswerScore : IDisposable
{
    private readonly QwenModel model;
    private readonly StepRunner runner;

    /// <param name="model">The model.</param>
    /// <param name="longest">Tokens of the longest prompt with its answer.</param>
    /// <param name="kvType">Type of the attention cache.</param>
    /// <param name="stateType">Type of the recurrent states.</param>
    public AnswerScore(QwenModel model, int longest, KvType kvType, DeltaStateType stateType)
    {
        this.model = model;
        runner = PositionLogits.RunnerOf(model, new EngineOptions { ContextTokens = longest, KvType = kvType, DeltaStateType = stateType });
    }

    /// <summary>Natural logarithms of the probabilities of the answer's tokens, each after all before it.</summary>
    /// <exception cref="InvalidDataException">One of them is NaN.</exception>
    public float[] Of(int[] prompt, int[] answer, CancellationToken cancellation)
    {
        // The last step: the prompt's last token and all of the answer's but the last, each of which foretells one of the answer.
        int before = prompt.Length - 1;
        for (int position = 0; position < before; position += runner.Capacity.PrefillChunkTokens)
        {
            cancellation.ThrowIfCancellationRequested();
            int count = Math.Min(runner.Capacity.PrefillChunkTokens, before - position);
            runner.Run(StepKind.Prefill, [new StepSequence(PositionLogits.Slot, position, prompt.AsMemory(position, count), LogitsWanted.None)], samples: false);
        }

        int[] fed = [prompt[^1], .. answer[..^1]];
        var last = new StepSequence(PositionLogits.Slot, before, fed, LogitsWanted.None, answer);
        float[] scores = runner.ReadScores(runner.Run(StepKind.Prefill, [last], samples: false));
        int bad = Array.FindIndex(scores, float.IsNaN);
        return bad < 0 ? scores : throw model.Explain(new NonFiniteLogitsException(prompt.Length + bad), cancellation);
    }

    public void Dispose() => runner.Dispose();
}
