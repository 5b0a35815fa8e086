namespace QwenIlgpu.Kernels;

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
