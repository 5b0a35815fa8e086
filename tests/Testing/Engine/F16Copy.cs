using System.Runtime.InteropServices;
using QwenIlgpu.Kernels;

namespace QwenIlgpu.Testing;

/// <summary>A checkpoint's bf16 tensors as f16: exact, but for what is below 2⁻¹⁴ and loses bits under 2⁻²⁴.</summary>
internal static class F16Copy
{
    /// <summary>Copies a checkpoint of one file into a directory.</summary>
    public static void Write(string source, string target)
    {
        foreach (string file in Directory.EnumerateFiles(source).Where(f => !f.EndsWith(".safetensors", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        using SafetensorsFile weights = SafetensorsFile.Open(Path.Combine(source, "model.safetensors"));
        using var writer = new SafetensorsWriter(Path.Combine(target, "model.safetensors"));
        foreach (TensorEntry tensor in weights.Tensors.Values)
            writer.Declare(tensor.Name, tensor.Type == TensorType.BF16 ? TensorType.F16 : tensor.Type, tensor.Shape.AsSpan());
        foreach (TensorEntry tensor in weights.Tensors.Values)
        {
            byte[] bytes = new byte[tensor.LengthBytes];
            weights.Read(tensor, 0, bytes);
            if (tensor.Type == TensorType.BF16)
                writer.Write<ushort>(Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(bytes).ToArray(), w => F16.FromFloat(Bf16.ToFloat(w))));
            else
                writer.Write(bytes);
        }

        writer.Complete();
    }
}
