using Lift.Ort.Demo;

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};
if (args is ["pretrain", var folder, var model, var steps]) Pretrain.Run(folder, model, int.Parse(steps), stop.Token);
