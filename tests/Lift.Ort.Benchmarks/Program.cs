using System.Globalization;
using BenchmarkDotNet.Running;
using Lift.Ort.Benchmarks;
using Lift.Ort.Sparse;

// refresh [ROWS COLUMNS RANK REPETITIONS TOLERANCE]: the mask refresh, cold and warm, against the exact one.
// optimizer [SIDE WEIGHTS DENSITY REPETITIONS]: the masked AdamW step against the floor of memory traffic.
// Anything else goes to BenchmarkDotNet: --filter '*LowRank*'.
double Number(int index, double otherwise) => args.Length > index ? double.Parse(args[index], CultureInfo.InvariantCulture) : otherwise;
int Whole(int index, int otherwise) => (int)Number(index, otherwise);

if (args is ["refresh", ..]) RefreshStudy.Run(Whole(1, 2048), Whole(2, 2048), Whole(3, 128), 0.05, Whole(4, 5), Number(5, new LowRankOptions().Tolerance));
else if (args is ["optimizer", ..]) OptimizerStudy.Run(Whole(1, 2048), Whole(2, 8), Number(3, 0.05), Whole(4, 20));
else BenchmarkSwitcher.FromAssembly(typeof(Matrices).Assembly).Run(args);
