using System.Text;

namespace QwenIlgpu.Tests.Cli.Chat;

/// <summary>What keys send, some bytes at a time; no more comes behind it.</summary>
internal sealed class TypedKeys(string keys, int bytesAtOnce = 1) : MemoryStream(Encoding.UTF8.GetBytes(keys))
{
    /// <summary>Called when all has been read and more is asked for.</summary>
    public Action OnEnd { get; set; } = () => { };

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (Position == Length)
            OnEnd();
        return base.Read(buffer, offset, Math.Min(count, bytesAtOnce));
    }
}
