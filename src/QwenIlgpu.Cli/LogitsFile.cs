using System.Globalization;
using QwenIlgpu.Cli.Eval;

namespace QwenIlgpu.Cli;

/// <summary>Computes logits chunk by chunk and writes each chunk as it is done, so that memory does not grow with the prompts.</summary>
internal sealed class LogitsFile(QwenModel model, KvType kvType, DeltaStateType stateType)
{
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
        using var logits = new PositionLogits(model, prompts.Max(p => p.Length), kvType, stateType);
        foreach (int[] ids in prompts)
        {
            foreach (float[] rows in logits.Of(ids, cancellation))
                writer.Write<float>(rows);
        }
    }
}
