using System.Globalization;
using System.Security;
using System.Text;

namespace QwenIlgpu.Cli.Plan;

/// <summary>A memory plan as a picture: a bar for each part, one for all together, and where the memory ends.</summary>
internal static class PlanPicture
{
    private const int Width = 760;
    private const int LabelWidth = 110;
    private const int FigureWidth = 110;
    private const int RowHeight = 26;
    private const int BarHeight = 18;
    private const int Top = 56;
    private const double Gibibyte = 1L << 30;

    private static readonly string[] Colors = ["#4c6a92", "#c0622f", "#5a8f4e", "#8d6aa8", "#b58e1d", "#3f8f95", "#7a7a7a", "#a04a5d"];

    /// <summary>The picture, an SVG document.</summary>
    public static string Draw(string title, MemoryPlan plan)
    {
        IReadOnlyList<MemoryPart> parts = plan.Parts;
        double scale = (Width - LabelWidth - FigureWidth) / (double)Math.Max(plan.TotalBytes, plan.MemoryBytes);
        int height = Top + ((parts.Count + 1) * RowHeight) + 16;
        var svg = new StringBuilder();
        Add(svg, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width}\" height=\"{height}\" viewBox=\"0 0 {Width} {height}\" ");
        Add(svg, $"font-family=\"sans-serif\" font-size=\"13\">\n");
        Add(svg, $"<rect width=\"{Width}\" height=\"{height}\" fill=\"#ffffff\"/>\n");
        Add(svg, $"<text x=\"8\" y=\"20\" font-size=\"15\">{Escaped(title)}</text>\n");
        Add(svg, $"<text x=\"8\" y=\"40\" fill=\"#555555\">{plan.TotalBytes / Gibibyte:F2} of {plan.MemoryBytes / Gibibyte:F2} GiB; ");
        Add(svg, $"cache and states {plan.SavedPercent:F1} % below an all-attention twin in bf16</text>\n");
        double start = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            // Each begins where the one above ends, so that together they are a staircase up to the total.
            Bar(svg, i, parts[i], start, parts[i].Bytes * scale, Colors[i % Colors.Length]);
            start += parts[i].Bytes * scale;
        }

        Bar(svg, parts.Count, new MemoryPart("total", plan.TotalBytes), 0, plan.TotalBytes * scale, plan.Fits ? "#333333" : "#b00020");
        double end = LabelWidth + (plan.MemoryBytes * scale);
        Add(svg, $"<line class=\"memory\" x1=\"{end:F1}\" x2=\"{end:F1}\" y1=\"{Top - 6}\" y2=\"{height - 10}\" ");
        Add(svg, $"stroke=\"#b00020\" stroke-dasharray=\"4 3\"/>\n");
        svg.Append("</svg>\n");
        return svg.ToString();
    }

    private static void Bar(StringBuilder svg, int row, MemoryPart part, double start, double length, string color)
    {
        int y = Top + (row * RowHeight);
        int baseline = y + 14;
        Add(svg, $"<text x=\"8\" y=\"{baseline}\">{Escaped(part.Name)}</text>\n");
        Add(svg, $"<rect class=\"part\" x=\"{LabelWidth + start:F1}\" y=\"{y}\" width=\"{Math.Max(length, 0.5):F1}\" ");
        Add(svg, $"height=\"{BarHeight}\" fill=\"{color}\"><title>{Escaped(part.Name)}: {part.Bytes} bytes</title></rect>\n");
        Add(svg, $"<text x=\"{Width - 8}\" y=\"{baseline}\" text-anchor=\"end\">{part.Bytes / Gibibyte:F2} GiB</text>\n");
    }

    private static string? Escaped(string text) => SecurityElement.Escape(text);

    private static void Add(StringBuilder svg, FormattableString text) => svg.Append(text.ToString(CultureInfo.InvariantCulture));
}
