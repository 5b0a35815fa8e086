using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;

namespace QwenIlgpu.Cli.Eval;

/// <summary>
/// Log-probabilities of a reference run: the tensor <c>log_probs</c>, F32 [positions, vocabulary], with the token ids, the checkpoint's
/// fingerprint and the types of cache and states in the metadata.
/// </summary>
internal sealed class ReferenceFile : IDisposable
{
    private const string Tensor = "log_probs";
    private const string IdsKey = "ids";
    private const string FingerprintKey = "fingerprint";
    private const string ModelKey = "model";
    private const string KvTypeKey = "kv_type";

    private readonly SafetensorsFile file;
    private readonly TensorEntry entry;

    private ReferenceFile(SafetensorsFile file, TensorEntry entry, IReadOnlyDictionary<string, string> metadata, int[] ids)
    {
        (this.file, this.entry, Ids) = (file, entry, ids);
        Fingerprint = metadata.GetValueOrDefault(FingerprintKey, "");
        KvType = metadata.GetValueOrDefault(KvTypeKey, "");
    }

    /// <summary>The tokens of the text.</summary>
    public int[] Ids { get; }

    /// <summary>The checkpoint that it was made with.</summary>
    public string Fingerprint { get; }

    /// <summary>The type of cache that it was made with, as the command line has it.</summary>
    public string KvType { get; }

    /// <summary>Probabilities of a position.</summary>
    public int Vocabulary => (int)entry.Shape[1];

    /// <summary>Begins a file for these tokens; their rows are to be written in order.</summary>
    public static void Declare(SafetensorsWriter writer, QwenModel model, int[] ids, string kvType)
    {
        writer.Describe(ModelKey, Path.GetFileName(Path.TrimEndingDirectorySeparator(model.Path)));
        writer.Describe(FingerprintKey, ModelFingerprint.OfCheckpoint(model.Path));
        writer.Describe(KvTypeKey, kvType);
        writer.Describe(IdsKey, JsonSerializer.Serialize(ids));
        writer.Declare(Tensor, TensorType.F32, ids.Length, model.VocabularySize);
    }

    /// <summary>Opens a file that `eval kld --save` has written.</summary>
    /// <exception cref="InvalidDataException">It is something else.</exception>
    public static ReferenceFile Open(string path)
    {
        SafetensorsFile file = SafetensorsFile.Open(path);
        try
        {
            IReadOnlyDictionary<string, string> metadata = file.ReadMetadata();
            if (!file.Tensors.TryGetValue(Tensor, out TensorEntry? entry) || entry.Type != TensorType.F32 || entry.Shape.Length != 2)
                throw Other(path, $"it has no F32 tensor {Tensor} of two dimensions");
            if (!metadata.TryGetValue(IdsKey, out string? text))
                throw Other(path, $"its metadata have no {IdsKey}");
            int[] ids = JsonSerializer.Deserialize<int[]>(text) ?? [];
            if (ids.Length != entry.Shape[0])
                throw Other(path, string.Create(CultureInfo.InvariantCulture, $"it has {entry.Shape[0]} positions of {ids.Length} ids"));
            return new ReferenceFile(file, entry, metadata, ids);
        }
        catch (JsonException e)
        {
            file.Dispose();
            throw Other(path, $"its {IdsKey} are no array of numbers: {e.Message}");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Log-probabilities of a position.</summary>
    public void Read(int position, Span<float> row) =>
        file.Read(entry, (long)position * Vocabulary * sizeof(float), MemoryMarshal.AsBytes(row));

    public void Dispose() => file.Dispose();

    private static InvalidDataException Other(string path, string fault) =>
        new($"{path} was not written by `qwen eval kld --save`: {fault}");
}
