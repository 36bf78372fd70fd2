namespace Lift.Ort.Devices;

/// <summary>Numbers that a device sends to the host once it has come that far. This one has them already.</summary>
public class Later<T>(T[] values) where T : unmanaged
{
    /// <summary>True when <see cref="Wait"/> returns at once.</summary>
    public virtual bool IsReady => true;

    /// <summary>The numbers, after waiting for them.</summary>
    public virtual T[] Wait() => values;
}
