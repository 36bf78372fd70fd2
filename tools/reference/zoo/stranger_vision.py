"""Vision networks spelled as the zoo's are not."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from harness import model, images
from decoders import Block

CLS, SEG = "classification", "segmentation"
DYN = {"pixel_values": {0: "batch", 2: "height", 3: "width"}, "logits": {0: "batch", 2: "h", 3: "w"}}


class LayerNorm2d(nn.Module):
    """channels_first norm as in ConvNeXt's own source."""
    def __init__(self, c):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(c)), nn.Parameter(torch.zeros(c))
    def forward(self, x):
        u = x.mean(1, keepdim=True)
        s = (x - u).pow(2).mean(1, keepdim=True)
        return self.weight[:, None, None] * ((x - u) / torch.sqrt(s + 1e-6)) + self.bias[:, None, None]


class ConvNeXtV2(nn.Module):
    """Global response normalisation in channels-last, norms in both layouts."""
    def __init__(self, dims=(8, 16)):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, dims[0], 4, 4), LayerNorm2d(dims[0]))
        self.down = nn.Sequential(LayerNorm2d(dims[0]), nn.Conv2d(dims[0], dims[1], 2, 2))
        self.blocks = nn.ModuleList()
        for d in dims:
            b = Block()
            b.dwconv, b.norm, b.pwconv1, b.pwconv2 = nn.Conv2d(d, d, 7, padding=3, groups=d), nn.LayerNorm(d, eps=1e-6), nn.Linear(d, 4 * d), nn.Linear(4 * d, d)
            b.gamma, b.beta = nn.Parameter(torch.zeros(1, 1, 1, 4 * d)), nn.Parameter(torch.zeros(1, 1, 1, 4 * d))
            self.blocks.append(b)
        self.norm, self.head = nn.LayerNorm(dims[-1]), nn.Linear(dims[-1], 7)
    def block(self, b, x):
        y = b.pwconv1(b.norm(b.dwconv(x).permute(0, 2, 3, 1)))
        y = F.gelu(y)
        g = torch.norm(y, p=2, dim=(1, 2), keepdim=True)
        y = b.gamma * (y * (g / (g.mean(dim=-1, keepdim=True) + 1e-6))) + b.beta + y
        return x + b.pwconv2(y).permute(0, 3, 1, 2)
    def forward(self, x):
        x = self.block(self.blocks[0], self.stem(x))
        x = self.block(self.blocks[1], self.down(x))
        return self.head(self.norm(x.mean([-2, -1])))


model("n-convnext-v2", CLS, opset=17, inputs=images())(ConvNeXtV2)
model("n-convnext-v2-unfolded", CLS, opset=12, fold=False, inputs=images(sizes=((32, 32), (40, 24))))(ConvNeXtV2)
model("n-convnext-v2-half", CLS, opset=18, dtype=torch.float16, inputs=images())(ConvNeXtV2)


class ViTAny(nn.Module):
    """Class and register tokens by expand, positions interpolated (bicubic) in the graph, fused qkv by reshape and unbind, LayerScale, two heads averaged, pooling by attention."""
    def __init__(self, mode="bicubic", d=16, h=2):
        super().__init__()
        self.mode, self.h = mode, h
        self.patch, self.cls, self.registers = nn.Conv2d(3, d, 8, 8), nn.Parameter(torch.zeros(1, 1, d)), nn.Parameter(torch.randn(1, 3, d))
        self.pos = nn.Parameter(torch.randn(1, 1 + 36, d))
        self.blocks = nn.ModuleList()
        for _ in range(2):
            b = Block()
            b.norm1, b.qkv, b.proj, b.norm2, b.fc1, b.fc2 = nn.LayerNorm(d, eps=1e-6), nn.Linear(d, 3 * d), nn.Linear(d, d), nn.LayerNorm(d, eps=1e-6), nn.Linear(d, 2 * d), nn.Linear(d, d)
            b.ls1, b.ls2 = nn.Parameter(torch.full((d,), 0.1)), nn.Parameter(torch.full((d,), 0.1))
            self.blocks.append(b)
        self.norm, self.head, self.dist, self.query = nn.LayerNorm(d), nn.Linear(d, 7), nn.Linear(d, 7), nn.Parameter(torch.randn(1, 1, d))
    def forward(self, x):
        B, C, Hh, W = x.shape
        x = self.patch(x)
        gh, gw = x.shape[-2:]
        x = x.flatten(2).transpose(1, 2)
        grid = self.pos[:, 1:].reshape(1, 6, 6, -1).permute(0, 3, 1, 2)
        more = dict(align_corners=False) if self.mode != "nearest" else {}
        grid = F.interpolate(grid, size=(gh, gw), mode=self.mode, **more).permute(0, 2, 3, 1).flatten(1, 2)
        x = torch.cat((self.cls.expand(B, -1, -1), x), 1) + torch.cat((self.pos[:, :1], grid), 1)
        x = torch.cat((x[:, :1], self.registers.expand(B, -1, -1), x[:, 1:]), 1)
        for b in self.blocks:
            n, d = x.shape[1:]
            q, k, v = b.qkv(b.norm1(x)).reshape(B, n, 3, self.h, d // self.h).permute(2, 0, 3, 1, 4).unbind(0)
            a = F.scaled_dot_product_attention(q, k, v, dropout_p=0.0).transpose(1, 2).reshape(B, n, d)
            x = x + b.ls1 * b.proj(a)
            g, u = b.fc1(b.norm2(x)).chunk(2, -1)
            x = x + b.ls2 * b.fc2(F.silu(g) * u)
        x = self.norm(x)
        pooled = F.scaled_dot_product_attention(self.query.expand(B, -1, -1), x[:, 4:], x[:, 4:]).squeeze(1)
        return (self.head(x[:, 0]) + self.dist(pooled)) / 2


model("n-vit-registers", CLS, opset=17, inputs=images())(ViTAny)
model("n-vit-registers-sizes", CLS, opset=14, fold=False, inputs=images(sizes=((32, 32), (48, 40))))(lambda: ViTAny("bicubic"))
model("n-vit-bilinear", CLS, opset=16, fold=False, inputs=images(sizes=((64, 32), (48, 40))))(lambda: ViTAny("bilinear"))
model("n-vit-half", CLS, opset=17, dtype=torch.float16, inputs=images())(lambda: ViTAny("bilinear"))


class SwinV2(nn.Module):
    """Cosine attention with clamped log scale, log-spaced coordinates through an MLP, 16 sigmoid, windows by view and permute, roll, mask by slices; padding to windows."""
    def __init__(self, d=16, h=2, w=4, size=10):
        super().__init__()
        self.h, self.w, self.size = h, w, size
        self.patch, self.pn = nn.Conv2d(3, d, 2, 2), nn.LayerNorm(d)
        c = torch.stack(torch.meshgrid(torch.arange(-(w - 1), w).float(), torch.arange(-(w - 1), w).float(), indexing="ij")).permute(1, 2, 0)[None] / (w - 1) * 8
        self.register_buffer("coords", torch.sign(c) * torch.log2(torch.abs(c) + 1.0) / math.log2(8), persistent=False)
        i = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
        r = (i[:, :, None] - i[:, None]).permute(1, 2, 0) + w - 1
        self.register_buffer("index", r[..., 0] * (2 * w - 1) + r[..., 1], persistent=False)
        self.blocks = nn.ModuleList()
        for _ in range(2):
            b = Block()
            b.logit_scale, b.cpb, b.qkv = nn.Parameter(torch.log(10 * torch.ones(h, 1, 1))), nn.Sequential(nn.Linear(2, 12), nn.ReLU(inplace=True), nn.Linear(12, h, bias=False)), nn.Linear(d, 3 * d, bias=False)
            b.q_bias, b.v_bias, b.proj, b.n1, b.n2, b.mlp = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d)), nn.Linear(d, d), nn.LayerNorm(d), nn.LayerNorm(d), nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
            self.blocks.append(b)
        self.merge, self.mn, self.head = nn.Linear(4 * d, 2 * d, bias=False), nn.LayerNorm(2 * d), nn.Linear(2 * d, 7)
    def windows(self, x):
        B, Hh, W, C = x.shape
        return x.view(B, Hh // self.w, self.w, W // self.w, self.w, C).permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, self.w * self.w, C)
    def attend(self, b, x, mask):
        n, t, d = x.shape
        bias = torch.cat((b.q_bias, torch.zeros_like(b.v_bias, requires_grad=False), b.v_bias))
        qkv = F.linear(x, b.qkv.weight, bias).reshape(n, t, 3, self.h, -1).permute(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        a = F.normalize(q, dim=-1, eps=1e-4) @ F.normalize(k, dim=-1, eps=1e-4).transpose(-2, -1)
        a = a * torch.clamp(b.logit_scale, max=math.log(1.0 / 0.01)).exp()
        table = b.cpb(self.coords).view(-1, self.h)
        a = a + 16 * torch.sigmoid(table[self.index.view(-1)].view(t, t, -1).permute(2, 0, 1).contiguous()).unsqueeze(0)
        if mask is not None: a = (a.view(n // mask.shape[0], mask.shape[0], self.h, t, t) + mask.unsqueeze(1).unsqueeze(0)).view(-1, self.h, t, t)
        return b.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(n, t, d))
    def forward(self, x):
        x = self.pn(self.patch(x).permute(0, 2, 3, 1))
        B, Hh, W, C = x.shape
        pad = (self.w - Hh % self.w) % self.w
        P = Hh + pad
        mask = torch.zeros((1, P, P, 1), dtype=x.dtype)
        count = 0
        for h in (slice(0, -4), slice(-4, -2), slice(-2, None)):
            for w in (slice(0, -4), slice(-4, -2), slice(-2, None)):
                mask[:, h, w, :] = count
                count += 1
        m = self.windows(mask).squeeze(-1)
        m = m.unsqueeze(1) - m.unsqueeze(2)
        m = m.masked_fill(m != 0, float(-100.0)).masked_fill(m == 0, float(0.0))
        for i, b in enumerate(self.blocks):
            y = F.pad(x, (0, 0, 0, pad, 0, pad))
            if i: y = torch.roll(y, shifts=(-2, -2), dims=(1, 2))
            y = self.attend(b, self.windows(y), m if i else None)
            y = y.view(B, P // self.w, P // self.w, self.w, self.w, C).permute(0, 1, 3, 2, 4, 5).reshape(B, P, P, C)
            if i: y = torch.roll(y, shifts=(2, 2), dims=(1, 2))
            x = x + b.n1(y[:, :Hh, :W, :].contiguous())
            x = x + b.n2(b.mlp(x))
        x = torch.cat([x[:, a::2, c::2, :] for c in (0, 1) for a in (0, 1)], -1)
        x = self.mn(self.merge(x.view(B, -1, 4 * C)))
        return self.head(F.adaptive_avg_pool1d(x.transpose(1, 2), 1).flatten(1))


model("n-swin-v2", CLS, opset=17, inputs=images(size=(20, 20)), by_graph=True)(SwinV2)
model("n-swin-v2-unfolded", CLS, opset=13, fold=False, inputs=images(size=(20, 20)), by_graph=True)(SwinV2)
model("n-swin-v2-half", CLS, opset=17, dtype=torch.float16, inputs=images(size=(20, 20)))(SwinV2)


class Detr(nn.Module):
    """Convolutional features, sine positions from cumsum of a mask, queries, cross attention, class and box heads (boxes are a second output)."""
    def __init__(self, d=16):
        super().__init__()
        self.body, self.queries, self.attn = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, d, 1)), nn.Embedding(5, d), nn.MultiheadAttention(d, 2)
        self.norm, self.cls, self.box = nn.LayerNorm(d), nn.Linear(d, 6), nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 4))
        self.d = d
    def forward(self, x):
        f = self.body(x)
        b, c, h, w = f.shape
        m = torch.ones((b, h, w), dtype=torch.bool)
        y, z = m.cumsum(1, dtype=torch.float32), m.cumsum(2, dtype=torch.float32)
        y, z = y / (y[:, -1:, :] + 1e-6) * 2 * math.pi, z / (z[:, :, -1:] + 1e-6) * 2 * math.pi
        t = 10000 ** (2 * torch.div(torch.arange(self.d // 2, dtype=torch.float32), 2, rounding_mode="floor") / (self.d // 2))
        side = lambda v: (lambda p: torch.stack((p[..., 0::2].sin(), p[..., 1::2].cos()), dim=4).flatten(3))(v[..., None] / t)
        pos = torch.cat((side(y), side(z)), 3).flatten(1, 2).permute(1, 0, 2).to(f.dtype)
        memory = f.flatten(2).permute(2, 0, 1)
        q = self.queries.weight.unsqueeze(1).repeat(1, b, 1)
        a, _ = self.attn(q, memory + pos, memory)
        o = self.norm(q + a).transpose(0, 1)
        return self.cls(o), self.box(o).sigmoid()


model("n-detr", "token_classification", opset=17, outputs=["logits", "pred_boxes"], choose="logits", inputs=images(batches=(2, 2)), by_graph=True, axes={"pixel_values": {0: "b"}, "logits": {0: "b"}, "pred_boxes": {0: "b"}})(Detr)


class YoloHead(nn.Module):
    """Two scales: sigmoid, grid and anchors from meshgrid, split of six channels, decode, concat."""
    def __init__(self, na=2, no=7):
        super().__init__()
        self.na, self.no = na, no
        self.stem, self.a, self.down, self.b = nn.Sequential(nn.Conv2d(3, 12, 3, 4, 1), nn.SiLU()), nn.Conv2d(12, na * no, 1), nn.Conv2d(12, 12, 3, 2, 1), nn.Conv2d(12, na * no, 1)
        self.spp = nn.ModuleList(nn.MaxPool2d(k, 1, k // 2) for k in (3, 5))
        self.mix = nn.Conv2d(36, 12, 1)
        self.register_buffer("anchors", torch.tensor([[1.25, 1.6], [2.0, 3.75]]).view(1, 2, 1, 1, 2))
    def forward(self, x):
        x = self.stem(x)
        x = F.silu(self.mix(torch.cat([x] + [m(x) for m in self.spp], 1)))
        out = []
        for f, stride in ((self.a(x), 4.0), (self.b(F.hardswish(self.down(x))), 8.0)):
            bs, _, ny, nx = f.shape
            f = f.view(bs, self.na, self.no, ny, nx).permute(0, 1, 3, 4, 2).contiguous()
            yv, xv = torch.meshgrid(torch.arange(ny), torch.arange(nx), indexing="ij")
            grid = torch.stack((xv, yv), 2).expand(1, self.na, ny, nx, 2).to(f.dtype) - 0.5
            xy, wh, conf = f.sigmoid().split((2, 2, self.no - 4), 4)
            out.append(torch.cat(((xy * 2 + grid) * stride / 16, (wh * 2) ** 2 * self.anchors.to(f.dtype), conf), 4).view(bs, -1, self.no))
        return torch.cat(out, 1)


model("n-yolo", "mse", opset=17, inputs=images(), by_graph=True)(YoloHead)
model("n-yolo-unfolded", "mse", opset=12, fold=False, inputs=images(), by_graph=True)(YoloHead)


class Fpn(nn.Module):
    """Lateral connections, nearest upsampling to the shape of the other, sums, shared head, LastLevelMaxPool."""
    def __init__(self):
        super().__init__()
        self.c = nn.ModuleList([nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 12, 3, 2, 1), nn.Conv2d(12, 16, 3, 2, 1)])
        self.lateral = nn.ModuleList(nn.Conv2d(k, 10, 1) for k in (8, 12, 16))
        self.smooth, self.norm, self.head = nn.Conv2d(10, 10, 3, padding=1), nn.GroupNorm(5, 10), nn.Conv2d(10, 4, 3, padding=1)
    def forward(self, x):
        f = []
        for c in self.c:
            x = F.leaky_relu(c(x), 0.1)
            f.append(x)
        y = self.lateral[2](f[2])
        for i in (1, 0):
            l = self.lateral[i](f[i])
            y = l + F.interpolate(y, size=l.shape[-2:], mode="nearest")
        y = F.relu(self.norm(self.smooth(y)))
        top = F.max_pool2d(y, 1, 2, 0)
        return F.interpolate(self.head(y), scale_factor=2.0, mode="bilinear", align_corners=False) + F.interpolate(self.head(top), scale_factor=4.0, mode="bilinear", align_corners=True)


model("n-fpn", SEG, opset=17, inputs=images(size=(32, 32)))(Fpn)
model("n-fpn-sizes", SEG, opset=13, fold=False, inputs=images(sizes=((32, 32), (24, 40))), axes=DYN)(Fpn)


class UNetPad(nn.Module):
    """Skips padded to the size of the upsampled by computed differences (milesial), attention gate, squeeze, deep supervision averaged."""
    def __init__(self, up="transpose"):
        super().__init__()
        conv = lambda i, o: nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True), nn.Conv2d(o, o, 3, padding=1, padding_mode="reflect"), nn.PReLU(o))
        self.a, self.b, self.up, self.c, self.out, self.gate, self.deep = conv(3, 8), conv(8, 16), nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1), conv(16, 8), nn.Conv2d(8, 3, 1), nn.Conv2d(16, 1, 1), nn.Conv2d(16, 3, 1)
    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        u = self.up(b)
        dy, dx = a.size(2) - u.size(2), a.size(3) - u.size(3)
        u = F.pad(u, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        g = torch.sigmoid(F.interpolate(self.gate(b), size=a.shape[2:], mode="bicubic", align_corners=False))
        y = self.out(self.c(torch.cat([a * g, u], dim=1)))
        return (y + F.interpolate(self.deep(b), size=y.shape[2:], mode="nearest")) * 0.5


model("n-unet-padded", SEG, opset=17, training="preserve", inputs=images(size=(18, 14)))(UNetPad)
model("n-unet-padded-sizes", SEG, opset=11, fold=False, training="preserve", inputs=images(sizes=((18, 14), (13, 17))), axes=DYN)(UNetPad)


class Discriminator(nn.Module):
    """PatchGAN: spectral norm left in eval mode, instance norm, leaky relu, minibatch standard deviation, blur pooling, equalised learning rate."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.n, self.w, self.out = nn.Conv2d(3, 8, 4, 2, 1), nn.Conv2d(8, 16, 4, 2, 1), nn.InstanceNorm2d(16, affine=True), nn.Parameter(torch.randn(16, 17, 3, 3)), nn.Linear(16, 1)
        for i, (o, k) in enumerate(((8, 48), (16, 128))):
            self.register_buffer(f"u{i}", F.normalize(torch.randn(o), dim=0))
            self.register_buffer(f"v{i}", F.normalize(torch.randn(k), dim=0))
        k = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("blur", (k[:, None] * k[None] / 64)[None, None].repeat(16, 1, 1, 1))
    def conv(self, c, u, v, x):
        sigma = (u * (c.weight.flatten(1) @ v)).sum()
        return F.conv2d(x, c.weight / sigma, c.bias, 2, 1)
    def forward(self, x):
        x = F.leaky_relu(self.conv(self.a, self.u0, self.v0, x), 0.2)
        x = F.leaky_relu(self.n(self.conv(self.b, self.u1, self.v1, x)), 0.2)
        x = F.conv2d(F.pad(x, (1, 2, 1, 2), mode="replicate"), self.blur, stride=2, groups=16)
        std = torch.sqrt(x.var(0, unbiased=False) + 1e-8).mean()
        x = torch.cat([x, std.expand(x.shape[0], 1, x.shape[2], x.shape[3])], 1)
        x = F.leaky_relu(F.conv2d(x, self.w * (1 / math.sqrt(17 * 9)), padding=1), 0.2) * math.sqrt(2)
        return self.out(torch.sum(x, dim=(2, 3)))


model("n-gan-discriminator", "bce", opset=17, inputs=images(batches=(3, 4)), by_graph=True)(Discriminator)
model("n-gan-discriminator-unfolded", "bce", opset=14, fold=False, inputs=images(batches=(3, 4)), by_graph=True)(Discriminator)


class StyleGenerator(nn.Module):
    """Modulated convolution: weights scaled by style and demodulated, applied as grouped convolution over the batch; pixel norm, given noise."""
    def __init__(self):
        super().__init__()
        self.map, self.const, self.affine, self.weight, self.strength, self.rgb = nn.Linear(8, 8), nn.Parameter(torch.randn(1, 6, 4, 4)), nn.Linear(8, 6), nn.Parameter(torch.randn(1, 5, 6, 3, 3)), nn.Parameter(torch.ones(1) * 0.3), nn.Conv2d(5, 3, 1)
    def forward(self, z, noise):
        z = z * torch.rsqrt(torch.mean(z ** 2, dim=1, keepdim=True) + 1e-8)
        s = self.affine(F.leaky_relu(self.map(z), 0.2))
        b = z.shape[0]
        w = self.weight * s.view(b, 1, 6, 1, 1)
        w = w * torch.rsqrt(w.pow(2).sum([2, 3, 4]) + 1e-8).view(b, 5, 1, 1, 1)
        x = self.const.repeat(b, 1, 1, 1).view(1, b * 6, 4, 4)
        x = F.conv2d(x, w.view(b * 5, 6, 3, 3), padding=1, groups=b).view(b, 5, 4, 4)
        x = F.interpolate(F.leaky_relu(x + noise * self.strength, 0.2), scale_factor=2, mode="bilinear")
        return torch.tanh(self.rgb(x))


model("n-style-generator", "mse", opset=17, inputs=lambda c: {"z": torch.randn(2, 8), "noise": torch.randn(2, 1, 4, 4)}, axes={"z": {}, "noise": {}})(StyleGenerator)


class Pools(nn.Module):
    """Adaptive, LP, fractional sizes, padded averages that count or do not, dilated and ceil maxima, asymmetric kernels, channel shuffle, GhostNet's cheap half."""
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.d, self.head = nn.Conv2d(3, 8, (1, 7), padding=(0, 3)), nn.Conv2d(8, 8, (7, 1), padding=(3, 0), dilation=1), nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4), nn.Conv2d(8, 8, (3, 5), stride=(2, 1), padding=(1, 2)), nn.Linear(64, 7)
        self.norm = nn.LocalResponseNorm(3, alpha=0.01, beta=0.7, k=1.5)
    def forward(self, x):
        x = F.rrelu(self.b(self.a(x)), 0.1, 0.3, training=False)
        p = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False) + F.avg_pool2d(x, 3, 2, 1, count_include_pad=True) + F.max_pool2d(x, 3, 2, 1, dilation=1)
        p = self.norm(p)
        y = self.c(p).view(p.size(0), 2, 4, p.size(2), p.size(3)).transpose(1, 2).reshape(p.shape)
        y = y + F.interpolate(F.max_pool2d(y, 2, 2) * 1.5, scale_factor=2, mode="nearest")
        l = F.lp_pool2d(y.abs() + 0.1, 2, 2)
        z = F.softshrink(F.tanhshrink(self.d(y)), 0.05)
        one = l.mean(2).flatten(1)
        two = F.adaptive_max_pool2d(z, 1).flatten(1)
        return self.head(torch.cat([one, two, z.amin((2, 3)), F.avg_pool2d(l, (4, 2), ceil_mode=True).flatten(1)[:, :16]], 1))


model("n-pools", CLS, opset=17, inputs=images(size=(16, 16), batches=(2, 2)), axes={}, by_graph=True)(Pools)
model("n-pools-opset11", CLS, opset=11, fold=False, inputs=images(size=(16, 16), batches=(2, 2)), axes={}, by_graph=True)(Pools)
