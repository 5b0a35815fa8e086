using System.Globalization;

namespace QwenIlgpu.Bench;

/// <summary>`gguf`: a published shape with random weights as a GGUF file, for measuring other engines.</summary>
internal static class GgufCommand
{
    private const int Seed = 1;
    private const int LeastLayers = 4;
    private const int LeastVocabulary = 256;
    private static readonly string[] Options = ["--shape", "--type", "--output", "--layers", "--vocabulary"];

    /// <summary>0 when the file is written, 1 where it cannot be, 2 for wrong arguments.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        string? shape = ValueOf("--shape");
        string? path = ValueOf("--output");
        GgufType? type = ValueOf("--type") switch
        {
            "q4_0" => GgufType.Q4Zero,
            "q8_0" => GgufType.Q8Zero,
            _ => null,
        };
        bool isCut = NumberOf("--layers", LeastLayers, out int layers) & NumberOf("--vocabulary", LeastVocabulary, out int vocabulary);
        if (path is null || type is null || !isCut || !SyntheticShape.Names.Contains(shape!) || args.Where((_, i) => i % 2 == 0).Any(a => !Options.Contains(a)))
        {
            errors.WriteLine($"usage: QwenIlgpu.Bench gguf --shape {string.Join('|', SyntheticShape.Names)} --type q4_0|q8_0 --output FILE [--layers N] [--vocabulary N]");
            return 2;
        }

        QwenConfig whole = SyntheticShape.Of(shape!);
        QwenConfig config = SyntheticShape.Cut(whole, Math.Min(layers, whole.NumHiddenLayers), vocabulary);
        GgufFile file = new GgufModel($"synthetic {shape}", config, type.Value).ToFile(Seed);
        try
        {
            // Half a file must not be taken for a whole one.
            string unfinished = path + ".part";
            using (FileStream stream = File.Create(unfinished))
                file.Write(stream);
            File.Move(unfinished, path, overwrite: true);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{path}: {file.TensorBytes / 1e9:F2} GB of weights"));
            return 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }

        string? ValueOf(string option) => args.SkipWhile(a => a != option).Skip(1).FirstOrDefault();

        bool NumberOf(string option, int least, out int number)
        {
            number = int.MaxValue;
            return ValueOf(option) is not { } text || (int.TryParse(text, CultureInfo.InvariantCulture, out number) && number >= least);
        }
    }
}
