using System.Buffers.Binary;

namespace Lift.Ort.Tests.Fuzz;

/// <summary>Damages bytes as disks, downloads and bad programs do; blind to the format.</summary>
internal static class ByteMutator
{
    public static byte[] Mutate(byte[] source, Random random)
    {
        var bytes = new List<byte>(source);
        for (int n = random.Next(1, 6); n > 0 && bytes.Count > 0; n--)
        {
            int at = random.Next(bytes.Count), length = Math.Min(1 + (int)Math.Pow(2, random.NextDouble() * 12), bytes.Count - at);
            switch (random.Next(9))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: bytes.RemoveRange(at, length); break;
                case 3: bytes.InsertRange(random.Next(bytes.Count), bytes.GetRange(at, length)); break;
                case 4: bytes.RemoveRange(at, bytes.Count - at); break;
                case 5: for (int i = at; i < at + length; i++) bytes[i] = 0; break;
                case 6: for (int i = at; i < at + length; i++) bytes[i] = 0xFF; break;
                case 7:
                    byte[] random8 = new byte[8];
                    BinaryPrimitives.WriteInt64LittleEndian(random8, random.Next(4) switch { 0 => long.MaxValue, 1 => long.MinValue, 2 => -1, _ => random.NextInt64() });
                    bytes.InsertRange(at, random8);
                    break;
                default: (bytes[at], bytes[random.Next(bytes.Count)]) = (bytes[random.Next(bytes.Count)], bytes[at]); break;
            }
        }
        return [.. bytes];
    }
}
