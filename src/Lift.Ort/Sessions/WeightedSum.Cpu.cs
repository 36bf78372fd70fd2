using System.Numerics;
using Lift.Ort.Devices.Cpu;

namespace Lift.Ort.Sessions;

internal readonly partial record struct WeightedSum
{
    public unsafe void Run(CpuDevice device)
    {
        float* sum = (float*)Sum.Pointer, term = (float*)Term.Pointer;
        var share = new Vector<float>(Share);
        long i = 0;
        for (; i + Vector<float>.Count <= Term.Length; i += Vector<float>.Count)
        {
            Vector<float> before = First ? Vector<float>.Zero : Vector.Load(sum + i);
            Vector.Store(before + share * Vector.Load(term + i), sum + i);
        }
        for (; i < Term.Length; i++) sum[i] = (First ? 0 : sum[i]) + Share * term[i];
    }
}
