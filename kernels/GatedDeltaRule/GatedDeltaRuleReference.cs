namespace QwenIlgpu.Kernels;

/// <summary>The definition of <see cref="GatedDeltaRule"/> in double precision, for one sequence.</summary>
internal static class GatedDeltaRuleReference
{
    /// <summary>
    /// qkv: [rows, Channels], q and k normalised; beta, g: [rows, Hv]; state: [Hv, Dv, Dk], advanced by all rows.
    /// Returns y: [rows, Hv · Dv].
    /// </summary>
    public static double[] Run(double[] qkv, double[] beta, double[] g, DeltaShape shape, double[] state)
    {
        int rows = qkv.Length / shape.Channels;
        var y = new double[rows * shape.ValueChannels];
        for (int t = 0; t < rows; t++)
        {
            for (int column = 0; column < shape.ValueChannels; column++)
            {
                int head = column / shape.ValueHeadDim;
                int row = t * shape.Channels;
                ReadOnlySpan<double> q = qkv.AsSpan(row + (head / shape.Ratio * shape.KeyHeadDim), shape.KeyHeadDim);
                ReadOnlySpan<double> k = qkv.AsSpan(row + shape.KeyChannels + (head / shape.Ratio * shape.KeyHeadDim), shape.KeyHeadDim);
                double v = qkv[row + (2 * shape.KeyChannels) + column];
                Span<double> s = state.AsSpan(column * shape.KeyHeadDim, shape.KeyHeadDim);

                double decay = Math.Exp(g[(t * shape.ValueHeads) + head]);
                double read = 0;
                for (int i = 0; i < s.Length; i++)
                {
                    s[i] *= decay;
                    read += s[i] * k[i];
                }

                double d = beta[(t * shape.ValueHeads) + head] * (v - read);
                double o = 0;
                for (int i = 0; i < s.Length; i++)
                {
                    s[i] += k[i] * d;
                    o += s[i] * q[i];
                }

                y[(t * shape.ValueChannels) + column] = o;
            }
        }

        return y;
    }
}

/// <summary>The chunked algebra of README.md in double precision, for one sequence: what joins the definition to the kernels.</summary>
internal static class ChunkedDeltaRuleReference
{
    /// <summary>Operands and result as in <see cref="GatedDeltaRuleReference.Run"/>; position: that of the first row.</summary>
    public static double[] Run(double[] qkv, double[] beta, double[] g, DeltaShape shape, double[] state, int position)
    {
        int rows = qkv.Length / shape.Channels;
        var y = new double[rows * shape.ValueChannels];
        for (int first = 0; first < rows;)
        {
            int count = Math.Min(rows - first, ChunkList.ChunkRows - ((position + first) % ChunkList.ChunkRows));
            for (int head = 0; head < shape.ValueHeads; head++)
                Chunk(qkv, beta, g, shape, state, y, first, count, head);
            first += count;
        }

        return y;
    }

    private static void Chunk(
        double[] qkv, double[] beta, double[] g, DeltaShape shape, double[] state, double[] y, int first, int count, int head)
    {
        int dk = shape.KeyHeadDim;
        int dv = shape.ValueHeadDim;
        int keyStart = head / shape.Ratio * dk;
        double Q(int i, int c) => qkv[((first + i) * shape.Channels) + keyStart + c];
        double K(int i, int c) => qkv[((first + i) * shape.Channels) + shape.KeyChannels + keyStart + c];
        double V(int i, int c) => qkv[((first + i) * shape.Channels) + (2 * shape.KeyChannels) + (head * dv) + c];
        double Beta(int i) => beta[((first + i) * shape.ValueHeads) + head];
        ref double S(int key, int value) => ref state[(((head * dv) + value) * dk) + key];

        var gamma = new double[count];
        for (int i = 0; i < count; i++)
            gamma[i] = (i > 0 ? gamma[i - 1] : 0) + g[((first + i) * shape.ValueHeads) + head];

        double[,] a = Product(count, count, dk, (i, c) => Beta(i) * K(i, c), (c, j) => K(j, c));
        double[,] p = Product(count, count, dk, Q, (c, j) => K(j, c));
        for (int i = 0; i < count; i++)
        {
            for (int j = 0; j < count; j++)
            {
                double d = i >= j ? Math.Exp(gamma[i] - gamma[j]) : 0;
                a[i, j] = i > j ? a[i, j] * d : 0;
                p[i, j] *= d;
            }
        }

        double[,] u = Solve(a, dv, (i, c) => Beta(i) * V(i, c));
        double[,] w = Solve(a, dk, (i, c) => Beta(i) * Math.Exp(gamma[i]) * K(i, c));
        double[,] ws = Product(count, dv, dk, (i, c) => w[i, c], (c, j) => S(c, j));
        double[,] qs = Product(count, dv, dk, (i, c) => Math.Exp(gamma[i]) * Q(i, c), (c, j) => S(c, j));
        double[,] pv = Product(count, dv, count, (i, l) => p[i, l], (l, j) => u[l, j] - ws[l, j]);
        double[,] kv = Product(dk, dv, count, (c, i) => Math.Exp(gamma[^1] - gamma[i]) * K(i, c), (i, j) => u[i, j] - ws[i, j]);
        for (int j = 0; j < dv; j++)
        {
            for (int i = 0; i < count; i++)
                y[((first + i) * shape.ValueChannels) + (head * dv) + j] = qs[i, j] + pv[i, j];
            for (int c = 0; c < dk; c++)
                S(c, j) = (Math.Exp(gamma[^1]) * S(c, j)) + kv[c, j];
        }
    }

    private static double[,] Product(int rows, int columns, int inner, Func<int, int, double> left, Func<int, int, double> right)
    {
        var product = new double[rows, columns];
        for (int i = 0; i < rows; i++)
        {
            for (int l = 0; l < inner; l++)
            {
                double factor = left(i, l);
                for (int j = 0; j < columns; j++)
                    product[i, j] += factor * right(l, j);
            }
        }

        return product;
    }

    // Forward substitution with the unit lower triangle I + a.
    private static double[,] Solve(double[,] a, int columns, Func<int, int, double> rightHandSide)
    {
        int rows = a.GetLength(0);
        var x = new double[rows, columns];
        for (int i = 0; i < rows; i++)
        {
            for (int c = 0; c < columns; c++)
            {
                x[i, c] = rightHandSide(i, c);
                for (int j = 0; j < i; j++)
                    x[i, c] -= a[i, j] * x[j, c];
            }
        }

        return x;
    }
}

/// <summary>The definition of <see cref="DeltaGates"/> in double precision.</summary>
internal static class DeltaGatesReference
{
    /// <summary>b, a: [rows, heads]; aLog, dtBias: [heads].</summary>
    public static (double[] Beta, double[] G) Run(double[] b, double[] a, double[] aLog, double[] dtBias)
    {
        var beta = new double[b.Length];
        var g = new double[b.Length];
        for (int i = 0; i < b.Length; i++)
        {
            int head = i % aLog.Length;
            beta[i] = 1 / (1 + Math.Exp(-b[i]));
            g[i] = -Math.Exp(aLog[head]) * Softplus(a[i] + dtBias[head]);
        }

        return (beta, g);
    }

    // Below −30 the next term of the series, e^2x / 2, is under 1e-13 of e^x.
    private static double Softplus(double x) => x < -30 ? Math.Exp(x) : x > 40 ? x : Math.Log(1 + Math.Exp(x));
}

/// <summary>The definition of <see cref="QkL2Norm"/> in double precision.</summary>
internal static class QkL2NormReference
{
    /// <summary>qkv: [rows, channels], blocks q | k | v.</summary>
    public static double[] Run(double[] qkv, int channels, int keyHeads, int keyHeadDim)
    {
        var result = (double[])qkv.Clone();
        for (int start = 0; start < qkv.Length; start += channels)
        {
            for (int head = 0; head < 2 * keyHeads; head++)
            {
                Span<double> values = result.AsSpan(start + (head * keyHeadDim), keyHeadDim);
                double squares = 0;
                foreach (double value in values)
                    squares += value * value;
                double scale = 1 / Math.Sqrt(squares + 1e-6);
                if (head < keyHeads)
                    scale /= Math.Sqrt(keyHeadDim);
                for (int c = 0; c < keyHeadDim; c++)
                    values[c] *= scale;
            }
        }

        return result;
    }
}

/// <summary>The definition of <see cref="DeltaStep"/> in double precision, for one sequence: its parts' definitions one after another.</summary>
internal static class DeltaStepReference
{
    /// <summary>
    /// mixed: [start + rows, Channels], z, b, a likewise, from the sequence's first token on; only rows from start on go through the
    /// rule. state: [Hv, Dv, Dk], advanced. Returns y: [rows, Hv · Dv].
    /// </summary>
    public static double[] Run(DeltaStepReferenceInputs inputs, DeltaShape shape, int start, double[] state)
    {
        double[] qkv = CausalConv1dReference.Run(inputs.Mixed, inputs.Conv1d, shape.Channels);
        qkv = QkL2NormReference.Run(qkv, shape.Channels, shape.KeyHeads, shape.KeyHeadDim);
        (double[] beta, double[] g) = DeltaGatesReference.Run(inputs.B, inputs.A, inputs.ALog, inputs.DtBias);
        double[] o = GatedDeltaRuleReference.Run(
            qkv[(start * shape.Channels)..], beta[(start * shape.ValueHeads)..], g[(start * shape.ValueHeads)..], shape, state);
        return GatedRmsNormReference.Run(o, inputs.Z[(start * shape.ValueChannels)..], inputs.Norm, inputs.Eps);
    }
}

/// <summary>Operands of <see cref="DeltaStepReference"/>.</summary>
internal sealed record DeltaStepReferenceInputs(
    double[] Mixed, double[] Z, double[] B, double[] A, double[] Conv1d, double[] ALog, double[] DtBias, double[] Norm, double Eps);
