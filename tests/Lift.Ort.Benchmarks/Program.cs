using BenchmarkDotNet.Running;
using Lift.Ort.Benchmarks;

// refresh [ROWS COLUMNS RANK REPETITIONS TOLERANCE]: the mask refresh, cold, warm and exact. Anything else goes to BenchmarkDotNet (--filter '*').
if (args is ["refresh", .. var rest])
{
    int Int(int index, int otherwise) => rest.Length > index ? int.Parse(rest[index]) : otherwise;
    double tolerance = rest.Length > 4 ? double.Parse(rest[4], System.Globalization.CultureInfo.InvariantCulture) : new Lift.Ort.Sparse.LowRankOptions().Tolerance;
    RefreshStudy.Run(Int(0, 2048), Int(1, 2048), Int(2, 128), 0.05, Int(3, 5), tolerance);
    return;
}
BenchmarkSwitcher.FromAssembly(typeof(Matrices).Assembly).Run(args);
