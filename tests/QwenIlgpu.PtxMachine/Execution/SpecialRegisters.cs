namespace QwenIlgpu.PtxMachine;

/// <summary>What hardware has in the registers of a warp before it begins. PTX ISA, Special Registers.</summary>
internal static unsafe class SpecialRegisters
{
    /// <summary>Those that stay the same whichever group the warp is of.</summary>
    public static void Fill(Warp warp)
    {
        Launch launch = warp.Launch;
        GridShape shape = launch.Shape;
        foreach ((string name, Slot slot) in launch.Program.Entry.Slots.Specials)
        {
            uint* lanes = warp.Lane<uint>(slot);
            for (int lane = 0; lane < Warp.Lanes; lane++)
            {
                uint thread = (uint)warp.Thread(lane);
                lanes[lane] = name switch
                {
                    "%tid.x" => thread % shape.GroupX,
                    "%tid.y" => thread / shape.GroupX % shape.GroupY,
                    "%tid.z" => thread / shape.GroupX / shape.GroupY,
                    "%ntid.x" => shape.GroupX,
                    "%ntid.y" => shape.GroupY,
                    "%ntid.z" => shape.GroupZ,
                    "%nctaid.x" => shape.GridX,
                    "%nctaid.y" => shape.GridY,
                    "%nctaid.z" => shape.GridZ,
                    "%laneid" => (uint)lane,
                    "%warpid" => (uint)warp.Number,
                    "%nwarpid" => (uint)launch.GroupWarps,
                    "%lanemask_lt" => (1u << lane) - 1,
                    "%lanemask_eq" => 1u << lane,
                    "%dynamic_smem_size" => shape.DynamicSharedBytes,
                    "%total_smem_size" => (uint)launch.SharedBytes,
                    _ => 0,
                };
            }
        }
    }

    /// <summary>Those of the group that the warp begins.</summary>
    public static void FillGroup(Warp warp, string name, Slot slot)
    {
        Group group = warp.Group;
        if (name.StartsWith("%ctaid.", StringComparison.Ordinal))
            Registers.Fill(warp.File, slot, name[^1] switch { 'x' => group.X, 'y' => group.Y, _ => group.Z });
    }
}
