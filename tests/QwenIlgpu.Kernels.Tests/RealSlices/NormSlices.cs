using ILGPU;
using static QwenIlgpu.Kernels.Tests.KernelTests;

namespace QwenIlgpu.Kernels.Tests;

/// <summary>Norms of rows of 5120 and of 48 heads of 128, and SwiGLU of 17,408.</summary>
internal static class NormSlices
{
    private const int Rows = 3;
    private const int Hidden = 5120;
    private const float Eps = 1e-6f;

    // Outputs up to about 4; sums of 5120 squares in float are off by far less than their bound, 1.5e-4 of that.
    private const double Tolerance = 1e-5;

    public static IEnumerable<Slice> All =>
    [
        Norm("RmsNormKernel", (loader, x, weight, y) => RmsNorm.Bind(loader, x, weight, y, Eps)),
        Norm("RowNormKernel", (loader, x, weight, y) => RmsNorm.BindRows(loader, x, weight, y, Eps)),
        new("AddRmsNormKernel", AddNorm),
        new("GatedRmsNormKernel", GatedNorm),
        new("SwiGluKernel", Multiply),
    ];

    private static Slice Norm(string kernel, Func<KernelLoader, Matrix<float>, ArrayView<float>, Matrix<float>, Launch> bind) => new(kernel, device =>
    {
        (float[] x, float[] weight) = (Seeded.Floats(1, Rows * Hidden, 2), Seeded.Floats(2, Hidden));
        Matrix<float> y = device.Poisoned<float>(Rows, Hidden);
        device.Run(bind(device.Loader, device.Upload(x, Rows, Hidden), device.Upload(weight), y));
        float[] actual = device.Download(y);
        return new SliceResult(() => AssertClose(actual, RmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(weight), Rows, Eps), Tolerance))
            .Leaving(actual);
    });

    private static SliceResult AddNorm(TestDevice device)
    {
        (float[] x, float[] branch) = (Seeded.Floats(1, Rows * Hidden, 2), Seeded.Floats(2, Rows * Hidden));
        float[] weight = Seeded.Floats(3, Hidden);
        Matrix<float> sum = device.Poisoned<float>(Rows, Hidden);
        Matrix<float> y = device.Poisoned<float>(Rows, Hidden);
        device.Run(RmsNorm.BindAdd(
            device.Loader, device.Upload(x, Rows, Hidden), device.Upload(branch, Rows, Hidden), device.Upload(weight), sum, y, Eps));
        (float[] sums, float[] actual) = (device.Download(sum), device.Download(y));
        return new SliceResult(() =>
        {
            float[] expected = [.. x.Zip(branch, (a, b) => a + b)];
            Assert.That(sums.AsSpan().SequenceEqual(expected), "sum");
            AssertClose(actual, RmsNormReference.Run(Seeded.ToDouble(expected), Seeded.ToDouble(weight), Rows, Eps), Tolerance);
        }).Leaving(sums).Leaving(actual);
    }

    private static SliceResult GatedNorm(TestDevice device)
    {
        const int HeadDim = 128;
        const int Columns = 48 * HeadDim;
        (float[] x, float[] z) = (Seeded.Floats(1, Rows * Columns, 2), Seeded.Floats(2, Rows * Columns, 4));
        float[] weight = Seeded.Floats(3, HeadDim, 2);
        Matrix<float> y = device.Poisoned<float>(Rows, Columns);
        device.Run(GatedRmsNorm.Bind(
            device.Loader, device.Upload(x, Rows, Columns), device.Upload(z, Rows, Columns), device.Upload(weight), HeadDim, y, Eps));
        float[] actual = device.Download(y);

        // Outputs up to about 3 · 2 · 4 with a few roundings of 2^-24 each.
        return new SliceResult(() => AssertClose(
            actual, GatedRmsNormReference.Run(Seeded.ToDouble(x), Seeded.ToDouble(z), Seeded.ToDouble(weight), Eps), 1e-5)).Leaving(actual);
    }

    private static SliceResult Multiply(TestDevice device)
    {
        const int Columns = 17_408;
        (float[] gate, float[] up) = (Seeded.Floats(1, Rows * Columns, 8), Seeded.Floats(2, Rows * Columns));
        Matrix<float> y = device.Poisoned<float>(Rows, Columns);
        device.Run(SwiGlu.Bind(device.Loader, device.Upload(gate, Rows, Columns), device.Upload(up, Rows, Columns), y));
        float[] actual = device.Download(y);

        // |y| ≤ 8; a GPU's approximate exp, a quotient and products: below 2^-21 of that.
        return new SliceResult(() => AssertClose(actual, SwiGluReference.Run(Seeded.ToDouble(gate), Seeded.ToDouble(up)), 8 * 5e-7)).Leaving(actual);
    }
}
