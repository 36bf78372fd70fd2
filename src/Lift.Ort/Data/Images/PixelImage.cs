namespace Lift.Ort.Data.Images;

/// <summary>An image in memory: rows from top to bottom, <paramref name="Channels"/> bytes per pixel (1: grey or palette index, 3: red, green, blue).</summary>
internal sealed record PixelImage(int Width, int Height, int Channels, byte[] Pixels)
{
    /// <summary>Grey as three equal channels.</summary>
    public PixelImage ToColour()
    {
        if (Channels == 3) return this;
        byte[] colour = new byte[Pixels.Length * 3];
        for (int i = 0; i < Pixels.Length; i++) colour.AsSpan(3 * i, 3).Fill(Pixels[i]);
        return new(Width, Height, 3, colour);
    }

    /// <summary>Colour as grey: 0.299 red + 0.587 green + 0.114 blue (ITU-R 601), in 16 bits of fraction.</summary>
    public PixelImage ToGrey()
    {
        if (Channels == 1) return this;
        byte[] grey = new byte[Pixels.Length / 3];
        for (int i = 0; i < grey.Length; i++) grey[i] = (byte)(((Pixels[3 * i] * 19595) + (Pixels[(3 * i) + 1] * 38470) + (Pixels[(3 * i) + 2] * 7471) + 0x8000) >> 16);
        return new(Width, Height, 1, grey);
    }
}
