namespace QwenIlgpu.Kernels;

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
