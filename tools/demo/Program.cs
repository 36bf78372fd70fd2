using System.Diagnostics;
using Lift.Ort.Demo;
using Lift.Ort.Devices;

// The demonstration behind `./build.sh Finetune`. See README.md in this folder.
const string command = "dotnet run --project tools/demo -c Release --", model = "tools/demo/model.onnx", stored = "tools/demo/full.json", folder = "artifacts/finetune";
int[] seeds = [1, 2, 3];
using IDevice device = Device.Open();
using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};

switch (args)
{
    case ["finetune"]:
        return Compare();
    case ["full"]:
        return MeasureFull();
    case ["pretrain", var steps]:
        Pretrain.Run("artifacts/pretrain", model, int.Parse(steps), device, stop.Token);
        return 0;
    case ["pilot", var selection, var rate, var seed, var steps]:
        return Pilot(new Method(selection, double.Parse(rate)) { Steps = int.Parse(steps), Interval = selection == "lift" ? 100 : 0 }, int.Parse(seed));
    default:
        Console.Error.WriteLine($"{command} finetune | full | pretrain STEPS | pilot SELECTION RATE SEED STEPS");
        return 2;
}

int Compare()
{
    var clock = Stopwatch.StartNew();
    Finetune demo = Begin(folder, problems: 3, out Measurement before);
    Measurement[] lift = Seeds(demo, "lift", Method.Lift), random = Seeds(demo, "random", Method.Random);
    Report.Draw(Path.Combine(folder, "losses.svg"), ("LIFT", Path.Combine(folder, "lift-1")), ("random mask", Path.Combine(folder, "random-1")));
    Report.Write(Console.Out, folder, before, lift, random, Report.Stored.Read(stored));
    Console.WriteLine($"{folder} holds the models and patches (lift-1.onnx, lift-1.safetensors, …), logs (lift-1/log.jsonl, …), losses.svg and result.json. {clock.Elapsed.TotalSeconds:F0} s.");
    return 0;
}

Measurement[] Seeds(Finetune demo, string name, Method method) => [.. seeds.Select(seed =>
{
    Measurement measured = demo.Run($"{name}-{seed}", method, seed)[^1].Measured;
    Console.WriteLine($"{name}, seed {seed}: exact match {100 * measured.Score:F1} %, target loss {measured.TargetLoss:F3}, source loss {measured.SourceLoss:F4}");
    return measured;
})];

int MeasureFull()
{
    Finetune demo = Begin("artifacts/finetune-full", problems: 3, out _);
    Report.StoredRuns Measured(Method method) => new(method.LearningRate, [.. seeds.Select(seed => demo.Run($"full-{method.LearningRate}-{seed}", method, seed, every: method.Steps / 10))]);
    new Report.Stored($"{command} full", [Measured(Method.Full), Measured(Method.FullGently)]).Write(stored);
    return 0;
}

int Pilot(Method method, int seed)
{
    Finetune demo = Begin("artifacts/pilot", problems: 4, out _);
    foreach (Point point in demo.Run($"{method.Selection}-{method.LearningRate}", method, seed, every: method.Steps / 5)) Console.WriteLine($"{method} {point}");
    return 0;
}

Finetune Begin(string where, int problems, out Measurement before)
{
    var demo = new Finetune(model, where, device);
    demo.WriteData(problems);
    before = demo.Measure(model);
    Console.WriteLine($"before: exact match {100 * before.Score:F1} %, target loss {before.TargetLoss:F3}, source loss {before.SourceLoss:F4}");
    return demo;
}
