using Lift.Ort.Demo;
using Lift.Ort.Devices;

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
if (args is ["pretrain", var folder, var model, var steps]) Pretrain.Run(folder, model, int.Parse(steps), stop.Token);
if (args is ["pilot", var m, var f, .. var methods])
{
    using IDevice device = Device.Open();
    var tune = new Finetune(m, f, device);
    tune.WriteData();
    Console.WriteLine($"before {tune.Measure(m)}");
    foreach (string method in methods)
    {
        string[] parts = method.Split(':');
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Console.WriteLine($"{method} {tune.Run(method.Replace(':', '-'), new Method(parts[0], double.Parse(parts[1]), int.Parse(parts[2])))} {watch.Elapsed.TotalSeconds:F0} s");
    }
}
