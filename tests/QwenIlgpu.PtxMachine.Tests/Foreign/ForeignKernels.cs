using System.Buffers.Binary;

namespace QwenIlgpu.PtxMachine.Tests;

/// <summary>A machine and one of the PTX files beside this one, whose kernels are launched as a C++ program would.</summary>
internal sealed class ForeignKernels(string file, int seed, TensorCoreSums sums = TensorCoreSums.RoundedOnce) : IDisposable
{
    private readonly Machine machine = new(new MachineOptions { Seed = seed, TensorCoreSums = sums });
    private readonly PtxModule module = Parse(file);

    public void Dispose() => machine.Dispose();

    /// <summary>New memory that holds these.</summary>
    public nint Upload<T>(params ReadOnlySpan<T> values)
        where T : unmanaged => machine.Upload(values);

    /// <summary>New memory that nothing has written.</summary>
    public nint Allocate<T>(int count)
        where T : unmanaged => machine.Allocate<T>(count);

    public T[] Download<T>(nint address, int count)
        where T : unmanaged => machine.Download<T>(address, count);

    public void Launch(string kernel, GridShape shape, params ReadOnlySpan<object> arguments) =>
        machine.Launch(module.Kernels[kernel], shape, Buffer(arguments));

    /// <summary>So many groups of so many threads, of one dimension.</summary>
    public static GridShape Line(int groups, int threads) => new((uint)groups, 1, 1, (uint)threads, 1, 1, 0);

    // Every argument at a multiple of its size, as C++ lays them out.
    private static byte[] Buffer(ReadOnlySpan<object> arguments)
    {
        var buffer = new List<byte>();
        foreach (object argument in arguments)
        {
            byte[] bytes = new byte[argument is nint ? 8 : argument is int ? 4 : 2];
            BinaryPrimitives.TryWriteInt64LittleEndian(bytes, argument is nint address ? address : 0);
            if (argument is int number)
                BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
            if (argument is ushort small)
                BinaryPrimitives.WriteUInt16LittleEndian(bytes, small);
            while (buffer.Count % bytes.Length != 0)
                buffer.Add(0);
            buffer.AddRange(bytes);
        }

        return [.. buffer];
    }

    private static PtxModule Parse(string file)
    {
        using Stream stream = typeof(ForeignKernels).Assembly.GetManifestResourceStream(file)!;
        using var reader = new StreamReader(stream);
        return PtxModule.Parse(reader.ReadToEnd());
    }
}
