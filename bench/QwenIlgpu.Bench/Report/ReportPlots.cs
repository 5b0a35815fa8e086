using System.Text.RegularExpressions;
using ScottPlot;

namespace QwenIlgpu.Bench;

/// <summary>The pictures of the report. What is measured is drawn full, what is predicted pale and dashed, and the legend says which is which.</summary>
internal static partial class ReportPlots
{
    public const string Predicted = "predicted, not measured";
    public const string Measured = "measured";

    private const int Width = 860;
    private static readonly Color Full = Color.FromHex("#1f6fb4");
    private static readonly Color Pale = Color.FromHex("#d3e3f1");

    /// <summary>A bar for each label: what was measured, over what is predicted.</summary>
    public static string Bars(string title, string unit, IReadOnlyList<PlotBar> bars, double? ceiling = null)
    {
        var plot = new Plot();
        Bar[] predicted = [.. bars.Select((b, i) => BarAt(bars.Count - i, b.Predicted, Pale, 0.8)).OfType<Bar>()];
        Bar[] measured = [.. bars.Select((b, i) => BarAt(bars.Count - i, b.Measured, Full, 0.45)).OfType<Bar>()];
        AddBars(plot, predicted, Predicted);
        AddBars(plot, measured, Measured);
        plot.Axes.Left.TickGenerator = new ScottPlot.TickGenerators.NumericManual(
            [.. bars.Select((_, i) => (double)(bars.Count - i))], [.. bars.Select(b => b.Label)]);
        if (ceiling is { } value)
        {
            ScottPlot.Plottables.VerticalLine line = plot.Add.VerticalLine(value, 1.5f, Colors.Gray, LinePattern.Dashed);
            line.LegendText = "read ceiling";
        }

        double longest = bars.SelectMany(b => (double[])[b.Predicted ?? 0, b.Measured ?? 0]).Append(ceiling ?? 0).Max();
        plot.Axes.SetLimits(0, longest * 1.05, 0.4, bars.Count + 0.6);
        plot.XLabel(unit);
        return Finish(plot, title, 120 + (22 * bars.Count), Alignment.LowerRight);
    }

    /// <summary>Tokens per second against the length of the context.</summary>
    public static string Curve(string title, IReadOnlyList<(double Context, double Rate)> predicted, IReadOnlyList<(double Context, double Rate)> measured)
    {
        var plot = new Plot();
        ScottPlot.Plottables.Scatter line = AddLine(plot, predicted);
        (line.LinePattern, line.Color, line.LineWidth, line.MarkerSize, line.LegendText) = (LinePattern.Dashed, Color.FromHex("#8fb7da"), 2, 0, Predicted);
        if (measured.Count > 0)
        {
            ScottPlot.Plottables.Scatter points = AddLine(plot, measured);
            (points.Color, points.LineWidth, points.MarkerSize, points.LegendText) = (Full, 2, 8, Measured);
        }

        plot.XLabel("tokens of context");
        plot.YLabel("tokens per second");
        plot.Axes.SetLimitsY(0, predicted.Concat(measured).Max(p => p.Rate) * 1.1);
        return Finish(plot, title, 420, Alignment.LowerLeft);
    }

    private static ScottPlot.Plottables.Scatter AddLine(Plot plot, IReadOnlyList<(double X, double Y)> points) =>
        plot.Add.Scatter(points.Select(p => p.X).ToArray(), points.Select(p => p.Y).ToArray());

    private static Bar? BarAt(double position, double? value, Color color, double size) => value is not { } length
        ? null
        : new Bar { Position = position, Value = length, FillColor = color, LineColor = Full, LineWidth = 0.5f, Size = size };

    private static void AddBars(Plot plot, Bar[] bars, string legend)
    {
        if (bars.Length == 0)
            return;
        ScottPlot.Plottables.BarPlot added = plot.Add.Bars(bars);
        added.Horizontal = true;
        added.LegendText = legend;
    }

    // Whatever font the drawing machine has, the reader's own sans serif is near enough.
    private static string Finish(Plot plot, string title, int height, Alignment legend)
    {
        plot.Title(title);
        plot.ShowLegend(legend);
        return FontFamily().Replace(plot.GetSvgXml(Width, height), "font-family=\"DejaVu Sans, Verdana, sans-serif\"");
    }

    [GeneratedRegex("font-family=\"[^\"]*\"")]
    private static partial Regex FontFamily();
}

/// <summary>One bar: its label, and either value or both.</summary>
internal sealed record PlotBar(string Label, double? Predicted, double? Measured);
