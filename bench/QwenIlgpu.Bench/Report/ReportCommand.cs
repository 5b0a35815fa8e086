using QwenIlgpu.Kernels;

namespace QwenIlgpu.Bench;

/// <summary>`report`: result files to a page with pictures.</summary>
internal static class ReportCommand
{
    /// <summary>0 when the page is written, 1 for a file that cannot be read, 2 for wrong arguments.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter errors)
    {
        string[] options = ["--output", "--title"];
        string[] paths = [.. args.Where((a, i) => !a.StartsWith('-') && (i == 0 || !options.Contains(args[i - 1])))];
        string? directory = ValueOf("--output");
        if (directory is null || args.Any(a => a.StartsWith('-') && !options.Contains(a)))
        {
            errors.WriteLine("usage: QwenIlgpu.Bench report [FILE|DIR …] --output DIR [--title TEXT]");
            return 2;
        }

        try
        {
            var results = ResultFiles.Read(paths);
            Directory.CreateDirectory(directory);
            Prediction prediction = Prediction.OfDecodeAsync(results.ReadBytesPerSecond ?? H100.BytesPerSecond).GetAwaiter().GetResult();
            string title = ValueOf("--title") ?? (results.Kernels.Count > 0 ? "Measurements" : "Qwen3.6-27B on an H100: predicted, not measured");
            foreach ((string name, string text) in new ReportPage(results, prediction, title).Write())
            {
                string path = Path.Combine(directory, name);
                OutputFile.WriteText(path, text);
                output.WriteLine(path);
            }

            return 0;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            errors.WriteLine(e.Message);
            return 1;
        }

        string? ValueOf(string option) => args.SkipWhile(a => a != option).Skip(1).FirstOrDefault();
    }
}
