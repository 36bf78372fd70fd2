using Lift.Ort.Devices.Cpu;
using Lift.Ort.Onnx;

namespace Lift.Ort.Sessions;

internal readonly unsafe partial record struct Narrow
{
    public void Run(CpuDevice device)
    {
        for (long i = 0; i < Count; i++) ((ushort*)To)[i] = HalfPrecision.Round(((float*)From)[i], Type);
    }
}
