"""Small images and sounds and what Pillow, NumPy and torch make of them; see README.md."""
import json, struct, wave
import numpy as np, torch
from PIL import Image, ImageDraw

out = "out/"
y, x = np.mgrid[0:29, 0:43]
a = np.stack([x * 5, y * 8, (x * y) % 256], -1).astype(np.uint8)
im = Image.fromarray(a)
ImageDraw.Draw(im).ellipse((8, 6, 30, 22), fill=(250, 30, 60))
files = {}

def save(name, image, **options):
    image.save(out + name, **options)
    files[name] = Image.open(out + name).convert("RGB")

save("colour.png", im)
save("alpha.png", im.convert("RGBA"))
save("grey.png", im.convert("L"))
save("palette.png", im.quantize(8))
save("bits.png", im.convert("1"))
save("colour.bmp", im)
save("palette.bmp", im.quantize(8))
save("baseline.jpg", im, quality=90)
save("full.jpg", im, quality=95, subsampling=0)
save("wide.jpg", im, quality=85, subsampling=1)
save("progressive.jpg", im, quality=80, progressive=True, optimize=True)
save("grey.jpg", im.convert("L"), quality=90)
save("restarts.jpg", im, quality=90, restart_marker_blocks=2)
for name, image in files.items(): np.save(out + name + ".npy", np.asarray(image))
names = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
for filter, name in enumerate(names):
    np.save(out + f"{name}.smaller.npy", np.asarray(im.resize((17, 11), filter)))
    np.save(out + f"{name}.larger.npy", np.asarray(im.resize((61, 31), filter)))

# ViT's and CLIP's order: resize, crop, rescale, normalise
short = im.resize((int(24 * 43 / 29), 24), 3)
left, top = (short.width - 20) // 2, (short.height - 20) // 2
crop = np.asarray(short.crop((left, top, left + 20, top + 20))).astype(np.float64) / 255
np.save(out + "clip.npy", ((crop - [0.48, 0.46, 0.41]) / [0.27, 0.26, 0.28]).transpose(2, 0, 1).astype(np.float32))

rate = 8000
t = np.arange(4000) / rate
sound = 0.4 * np.sin(2 * np.pi * 440 * t) + 0.2 * np.sin(2 * np.pi * 1300 * t * (1 + t))
def wav(name, kind, bits, data, channels=1):
    block = channels * bits // 8
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, kind, channels, rate, rate * block, block, bits, b"data", len(data))
    open(out + name, "wb").write(head + data)
wav("pcm16.wav", 1, 16, (sound * 32768).round().astype("<i2").tobytes())
wav("pcm24.wav", 1, 24, b"".join(int(v).to_bytes(3, "little", signed=True) for v in (sound[:400] * 8388608).round()))
wav("pcm32.wav", 1, 32, (sound[:400] * 2147483648).round().astype("<i4").tobytes())
wav("pcm8.wav", 1, 8, (sound[:400] * 128 + 128).round().astype("u1").tobytes())
wav("float.wav", 3, 32, sound[:400].astype("<f4").tobytes())
wav("stereo.wav", 1, 16, (np.stack([sound[:400], sound[:400] * 0.5], -1) * 32768).round().astype("<i2").tobytes(), 2)
np.save(out + "sound.npy", sound[:400].astype(np.float32))

window, hop, bands = 200, 80, 20
heard = np.round(sound * 32768) / 32768
power = torch.stft(torch.tensor(heard), window, hop, window=torch.hann_window(window, dtype=torch.float64), return_complex=True)[..., :-1].abs() ** 2
def mel(f): return 3 * f / 200 if f < 1000 else 15 + np.log(f / 1000) * 27 / np.log(6.4)
def hertz(m): return 200 * m / 3 if m < 15 else 1000 * np.exp((m - 15) * np.log(6.4) / 27)
edges = np.array([hertz(m) for m in np.linspace(mel(0), mel(rate / 2), bands + 2)])
f = np.linspace(0, rate / 2, window // 2 + 1)
slopes = edges[:, None] - f[None]
filters = np.maximum(0, np.minimum(-slopes[:-2] / np.diff(edges)[:-1, None], slopes[2:] / np.diff(edges)[1:, None])) * (2 / (edges[2:] - edges[:-2]))[:, None]
log = torch.clamp(torch.tensor(filters) @ power, min=1e-10).log10()
log = torch.maximum(log, log.max() - 8)
np.save(out + "mel.npy", ((log + 4) / 4).numpy().astype(np.float32))
