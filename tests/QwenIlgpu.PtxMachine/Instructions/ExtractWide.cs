namespace QwenIlgpu.PtxMachine;

/// <summary><c>bfe.u64</c>: its position and length are words.</summary>
internal sealed unsafe class ExtractWide(Slot d, Slot a, Slot position, Slot length) : Instruction
{
    public override void Execute(Warp warp)
    {
        ulong* from = warp.Lane<ulong>(a);
        uint* positions = warp.Lane<uint>(position);
        uint* lengths = warp.Lane<uint>(length);
        ulong* values = stackalloc ulong[Warp.Lanes];
        for (int i = 0; i < Warp.Lanes; i++)
        {
            int first = (int)(positions[i] & 0xff);
            int count = (int)(lengths[i] & 0xff);
            ulong shifted = first < 64 ? from[i] >> first : 0;
            values[i] = count < 64 ? shifted & ((1UL << count) - 1) : shifted;
        }

        Registers.Store(warp.Lane<ulong>(d), values, warp.Active);
        warp.SetUndefined(d, warp.Undefined(a) | warp.Undefined(position) | warp.Undefined(length));
    }
}
