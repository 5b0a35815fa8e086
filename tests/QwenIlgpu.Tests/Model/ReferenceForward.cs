using System.Globalization;

namespace QwenIlgpu.Tests;

/// <summary>
/// A forward pass of the whole model in double precision, token after token, straight from the definitions: no chunks, no cache
/// pages, no shared code with the kernels or their references.
/// </summary>
internal sealed class ReferenceForward(
    RandomShape shape, IReadOnlyDictionary<string, double[]> weights, double yarnFactor = 1, int originalPositions = 512)
{
    private const double Eps = 1e-6;

    /// <summary>Logits of every position, [T, Vocab].</summary>
    public double[][] Run(int[] ids)
    {
        double[][] hidden = [.. ids.Select(id => weights["embed_tokens.weight"][(id * shape.Hidden)..((id + 1) * shape.Hidden)])];
        for (int i = 0; i < shape.Layers.Length; i++)
        {
            string prefix = string.Create(CultureInfo.InvariantCulture, $"layers.{i}");
            double[][] x = [.. hidden.Select(h => ZeroCentredNorm(h, weights[$"{prefix}.input_layernorm.weight"]))];
            double[][] mixed = shape.Layers[i] == 'F' ? Attention($"{prefix}.self_attn", x) : DeltaNet($"{prefix}.linear_attn", x);
            for (int t = 0; t < hidden.Length; t++)
            {
                hidden[t] = Add(hidden[t], mixed[t]);
                double[] y = ZeroCentredNorm(hidden[t], weights[$"{prefix}.post_attention_layernorm.weight"]);
                double[] gate = Linear($"{prefix}.mlp.gate_proj", y);
                double[] up = Linear($"{prefix}.mlp.up_proj", y);
                hidden[t] = Add(hidden[t], Linear($"{prefix}.mlp.down_proj", [.. gate.Zip(up, (g, u) => Silu(g) * u)]));
            }
        }

        string head = shape.Tied ? "embed_tokens" : "lm_head";
        return [.. hidden.Select(h => Linear(head, ZeroCentredNorm(h, weights["norm.weight"])))];
    }

    private double[][] Attention(string prefix, double[][] x)
    {
        int hd = shape.HeadDim;
        var keys = new double[x.Length][][];
        var values = new double[x.Length][][];
        var outputs = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[][] queryAndGate = Heads(Linear($"{prefix}.q_proj", x[t]), 2 * hd);
            keys[t] = [.. Heads(Linear($"{prefix}.k_proj", x[t]), hd).Select(k => Rotate(ZeroCentredNorm(k, weights[$"{prefix}.k_norm.weight"]), t))];
            values[t] = Heads(Linear($"{prefix}.v_proj", x[t]), hd);
            var attended = new List<double>();
            for (int h = 0; h < shape.Heads; h++)
            {
                int kv = h / (shape.Heads / shape.KvHeads);
                double[] q = Rotate(ZeroCentredNorm(queryAndGate[h][..hd], weights[$"{prefix}.q_norm.weight"]), t);
                double[] scores = [.. Enumerable.Range(0, t + 1).Select(s => Dot(q, keys[s][kv]) / Math.Sqrt(hd))];
                double largest = scores.Max();
                double[] p = [.. scores.Select(s => Math.Exp(s - largest))];
                double sum = p.Sum();
                for (int d = 0; d < hd; d++)
                    attended.Add(Enumerable.Range(0, t + 1).Sum(s => p[s] / sum * values[s][kv][d]) * Sigmoid(queryAndGate[h][hd + d]));
            }

            outputs[t] = Linear($"{prefix}.o_proj", [.. attended]);
        }

        return outputs;
    }

    private double[][] DeltaNet(string prefix, double[][] x)
    {
        int keyWidth = shape.KeyHeads * shape.KeyHeadDim;
        double[][] mixed = [.. x.Select(row => Linear($"{prefix}.in_proj_qkv", row))];
        double[] taps = weights[$"{prefix}.conv1d.weight"];
        var states = new double[shape.ValueHeads][,];
        for (int h = 0; h < shape.ValueHeads; h++)
            states[h] = new double[shape.KeyHeadDim, shape.ValueHeadDim];
        var outputs = new double[x.Length][];
        for (int t = 0; t < x.Length; t++)
        {
            double[] conv = [.. Enumerable.Range(0, mixed[t].Length).Select(c =>
                Silu(Enumerable.Range(0, 4).Sum(j => t - 3 + j < 0 ? 0 : taps[(c * 4) + j] * mixed[t - 3 + j][c])))];
            double[][] q = Heads(conv[..keyWidth], shape.KeyHeadDim);
            double[][] k = Heads(conv[keyWidth..(2 * keyWidth)], shape.KeyHeadDim);
            double[][] v = Heads(conv[(2 * keyWidth)..], shape.ValueHeadDim);
            double[][] z = Heads(Linear($"{prefix}.in_proj_z", x[t]), shape.ValueHeadDim);
            double[] b = Linear($"{prefix}.in_proj_b", x[t]);
            double[] a = Linear($"{prefix}.in_proj_a", x[t]);
            var gated = new List<double>();
            for (int h = 0; h < shape.ValueHeads; h++)
            {
                int kh = h / (shape.ValueHeads / shape.KeyHeads);
                double g = -Math.Exp(weights[$"{prefix}.A_log"][h]) * Math.Log(1 + Math.Exp(a[h] + weights[$"{prefix}.dt_bias"][h]));
                double[] o = DeltaRule(states[h], L2Norm(q[kh], 1 / Math.Sqrt(shape.KeyHeadDim)), L2Norm(k[kh], 1), v[h], Math.Exp(g), Sigmoid(b[h]));
                double scale = 1 / Math.Sqrt(o.Average(e => e * e) + Eps);
                gated.AddRange(o.Select((e, d) => e * scale * weights[$"{prefix}.norm.weight"][d] * Silu(z[h][d])));
            }

            outputs[t] = Linear($"{prefix}.out_proj", [.. gated]);
        }

        return outputs;
    }

    private static double[] DeltaRule(double[,] state, double[] q, double[] k, double[] v, double decay, double beta)
    {
        var o = new double[v.Length];
        for (int j = 0; j < v.Length; j++)
        {
            double recalled = 0;
            for (int i = 0; i < k.Length; i++)
            {
                state[i, j] *= decay;
                recalled += state[i, j] * k[i];
            }

            for (int i = 0; i < k.Length; i++)
            {
                state[i, j] += k[i] * beta * (v[j] - recalled);
                o[j] += state[i, j] * q[i];
            }
        }

        return o;
    }

    private double[] Rotate(double[] head, int position)
    {
        double[] y = [.. head];
        int half = shape.RotaryDim / 2;
        double magnitude = (0.1 * Math.Log(yarnFactor)) + 1;
        for (int i = 0; i < half; i++)
        {
            double frequency = yarnFactor == 1
                ? Math.Pow(10000, -2.0 * i / shape.RotaryDim)
                : YarnDefinition.Frequency(i, shape.RotaryDim, 10000, yarnFactor, originalPositions);
            double angle = position * frequency;
            y[i] = magnitude * ((head[i] * Math.Cos(angle)) - (head[i + half] * Math.Sin(angle)));
            y[i + half] = magnitude * ((head[i + half] * Math.Cos(angle)) + (head[i] * Math.Sin(angle)));
        }

        return y;
    }

    private double[] Linear(string module, double[] x)
    {
        double[] w = weights[$"{module}.weight"];
        var y = new double[w.Length / x.Length];
        for (int n = 0; n < y.Length; n++)
        {
            for (int k = 0; k < x.Length; k++)
                y[n] += w[(n * x.Length) + k] * x[k];
        }

        return y;
    }

    private static double[] ZeroCentredNorm(double[] x, double[] weight)
    {
        double scale = 1 / Math.Sqrt(x.Average(v => v * v) + Eps);
        return [.. x.Zip(weight, (v, w) => v * scale * (1 + w))];
    }

    private static double[] L2Norm(double[] x, double factor)
    {
        double scale = factor / Math.Sqrt(x.Sum(v => v * v) + Eps);
        return [.. x.Select(v => v * scale)];
    }

    private static double[][] Heads(double[] row, int width) => [.. row.Chunk(width)];

    private static double[] Add(double[] a, double[] b) => [.. a.Zip(b, (x, y) => x + y)];

    private static double Dot(double[] a, double[] b) => a.Zip(b, (x, y) => x * y).Sum();

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double Silu(double x) => x * Sigmoid(x);
}
