using System.Globalization;

namespace QwenIlgpu.Cli;

/// <summary>Computes logits chunk by chunk and writes each chunk as it is done, so that memory does not grow with the prompts.</summary>
internal sealed class LogitsFile(QwenModel model, KvType kvType, DeltaStateType stateType)
{
    private const int Slot = 1;

    /// <summary>Name of a prompt's tensor.</summary>
    public static string NameOf(int prompt) => string.Create(CultureInfo.InvariantCulture, $"{prompt}.logits");

    public void Write(SafetensorsWriter writer, IReadOnlyList<int[]> prompts, CancellationToken cancellation)
    {
        int vocabulary = model.Config.VocabSize;
        for (int i = 0; i < prompts.Count; i++)
            writer.Declare(NameOf(i), TensorType.F32, prompts[i].Length, vocabulary);
        if (prompts.Count > 0)
            WriteTensors(writer, prompts, cancellation);
        writer.Complete();
    }

    private void WriteTensors(SafetensorsWriter writer, IReadOnlyList<int[]> prompts, CancellationToken cancellation)
    {
        EngineCapacity capacity = new EngineOptions
        {
            MaxSequences = 1,
            ContextTokens = prompts.Max(p => p.Length),
            PrefillChunkTokens = Math.Min(Ops.MostLogitRows(model.Config.VocabSize), 512),
            KvType = kvType,
            PrefixCache = PrefixCacheMode.Off,
            DeltaStateType = stateType,
        }.Resolve(model.Config);
        using var runner = new StepRunner(model, capacity);
        runner.State.SetPages(Slot, [.. Enumerable.Range(1, capacity.PagesPerSequence)]);
        foreach (int[] ids in prompts)
        {
            for (int position = 0; position < ids.Length; position += capacity.PrefillChunkTokens)
            {
                cancellation.ThrowIfCancellationRequested();
                int count = Math.Min(capacity.PrefillChunkTokens, ids.Length - position);
                var sequence = new StepSequence(Slot, position, ids.AsMemory(position, count), LogitsWanted.All);
                BoundStep step = runner.Run(StepKind.Prefill, [sequence], samples: false);
                float[] logits = runner.ReadLogits(step);
                if (FirstBrokenRow(logits) is { } row)
                    throw model.Explain(new NonFiniteLogitsException(position + row + 1), cancellation);
                writer.Write<float>(logits);
            }
        }
    }

    // Columns that no token has may hold anything.
    private int? FirstBrokenRow(float[] logits)
    {
        int columns = model.Config.VocabSize;
        for (int row = 0; row < logits.Length / columns; row++)
        {
            ReadOnlySpan<float> tokens = logits.AsSpan(row * columns, model.VocabularySize);
            for (int id = 0; id < tokens.Length; id++)
            {
                if (!float.IsFinite(tokens[id]) && model.HasToken(id))
                    return row;
            }
        }

        return null;
    }
}
