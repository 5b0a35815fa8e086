using QwenIlgpu.Cli.Chat;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>What waits for an answer leaves no trace.</summary>
internal sealed class SpinnerTests
{
    [Test]
    public void ItShowsItsLabelAndGoes()
    {
        var screen = new Screen(40, 5);
        using (var spinner = new Spinner(screen) { Label = "thinking" })
        {
            spinner.Draw();
            spinner.Draw();
            Assert.That(screen.Text, Has.Length.EqualTo(1));
            Assert.That(screen.Text[0], Does.EndWith(" thinking"));
        }

        Assert.That((screen.Text.Length, screen.Cursor), Is.EqualTo((0, (0, 0))));
    }

    [Test]
    public void ItTellsHowFarAPromptIs()
    {
        var screen = new Screen(40, 5);
        using var spinner = new Spinner(screen);

        spinner.Report(new PromptProgress(2048, 5000));
        spinner.Draw();
        Assert.That(screen.Text[0], Does.EndWith(" prompt: 2,048 of 5,000 tokens"));

        spinner.Report(new PromptProgress(5000, 5000));
        Assert.That(spinner.Label, Is.Empty);
    }

    [Test]
    public void OnceItHasGoneNothingIsDrawn()
    {
        var screen = new StringWriter();
        var spinner = new Spinner(screen);
        spinner.Dispose();
        spinner.Draw();
        spinner.Dispose();

        Assert.That(screen.ToString(), Is.Empty);
    }
}
